UPDATE conversations
SET title = $3, updated_at = $4
WHERE user_id = $1 AND id = $2
