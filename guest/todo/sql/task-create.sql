INSERT INTO tasks (user_id, title, description, completed, priority, due_date, tags, tag_index, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
RETURNING id, user_id, title, description, completed, priority, due_date, tags, created_at, updated_at
