CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT,
    completed BOOLEAN NOT NULL DEFAULT FALSE,
    priority TEXT NOT NULL DEFAULT 'medium',
    due_date TIMESTAMP,
    tags TEXT NOT NULL DEFAULT '[]',
    tag_index TEXT NOT NULL DEFAULT '',
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    CONSTRAINT tasks_priority CHECK (priority IN ('low', 'medium', 'high'))
);
CREATE INDEX tasks_newest ON tasks (user_id, created_at DESC, id DESC);
