-- The hot path: one walk along the index tasks_newest.
SELECT id, user_id, title, description, completed, priority, due_date, tags, created_at, updated_at
FROM tasks
WHERE user_id = $1
ORDER BY created_at DESC, id DESC
LIMIT $2 OFFSET $3
