-- Sets the flag to $3, or toggles it when $3 is NULL.
UPDATE tasks
SET completed = coalesce($3, NOT completed),
    updated_at = $4
WHERE user_id = $1 AND id = $2
RETURNING id, user_id, title, description, completed, priority, due_date, tags, created_at, updated_at
