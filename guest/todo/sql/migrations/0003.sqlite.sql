CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (user_id, id)
);
CREATE INDEX conversations_latest ON conversations (user_id, updated_at DESC, id DESC);
-- A turn is what a user says and all that follows until the next time: the user
-- is its step 0, and each answer of the model is a step of its own.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    conversation_id INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    step INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    finish TEXT NOT NULL,
    continuation BLOB,
    feedback TEXT,
    created_at TIMESTAMP NOT NULL,
    CONSTRAINT messages_role CHECK (role IN ('user', 'assistant')),
    FOREIGN KEY (user_id, conversation_id) REFERENCES conversations (user_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX messages_order ON messages (user_id, conversation_id, turn, step);
CREATE TABLE tool_calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    conversation_id INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    step INTEGER NOT NULL,
    place INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    name TEXT NOT NULL,
    arguments TEXT NOT NULL,
    status TEXT NOT NULL,
    result TEXT,
    failed BOOLEAN NOT NULL DEFAULT FALSE,
    updated_at TIMESTAMP,
    -- Statements that may run once set another status the second time, and fail.
    CONSTRAINT tool_calls_status CHECK (status IN ('pending', 'approved', 'rejected', 'running', 'done', 'lost')),
    FOREIGN KEY (user_id, conversation_id) REFERENCES conversations (user_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX tool_calls_order ON tool_calls (user_id, conversation_id, turn, step, place);
