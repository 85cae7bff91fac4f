-- A field that is NULL stays as it is. The two fields that may become NULL have
-- a parameter before them that says whether to set them.
UPDATE tasks
SET title = coalesce($3, title),
    description = CASE WHEN $4 THEN $5 ELSE description END,
    completed = coalesce($6, completed),
    priority = coalesce($7, priority),
    due_date = CASE WHEN $8 THEN $9 ELSE due_date END,
    tags = coalesce($10, tags),
    tag_index = coalesce($11, tag_index),
    updated_at = $12
WHERE user_id = $1 AND id = $2
RETURNING id, user_id, title, description, completed, priority, due_date, tags, created_at, updated_at
