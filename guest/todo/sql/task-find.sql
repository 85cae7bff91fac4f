SELECT id, user_id, title, description, completed, priority, due_date, tags, created_at, updated_at
FROM tasks
WHERE user_id = $1 AND id = $2
