CREATE TABLE expenses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    category TEXT NOT NULL,
    cents INTEGER NOT NULL,
    day TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX expenses_days ON expenses (user_id, day);
