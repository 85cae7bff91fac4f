// A plugin: tools for models, for clients of the Model Context Protocol, and for plain
// HTTP. What needs the host is here; what it does is in `slug.js`, where a test finds it.

import { exported } from './innkeeper/tools.js';
import { slug } from './slug.js';

export const tools = exported([
  {
    name: 'slug',
    description: "Make the last part of an article's address out of its title.",
    input: { title: { type: 'string', minLength: 1, maxLength: 200, description: 'The title of an article.' } },
    output: { slug: { type: 'string', description: 'The last part of its address.' } },
    readOnly: true,
    call: ({ title }) => ({ slug: slug(title) }),
  },
]);
