import unittest

import app
from innkeeper.tools import Refused


class Slugs(unittest.TestCase):
    def test_words_are_joined(self):
        self.assertEqual(app.slug.call("Hello, World!"), {"slug": "hello-world"})

    def test_without_letters_there_is_none(self):
        with self.assertRaises(Refused):
            app.slug.call("?!")


if __name__ == "__main__":
    unittest.main()
