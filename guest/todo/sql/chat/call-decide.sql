-- Fails when it was decided before.
UPDATE tool_calls
SET status = CASE WHEN status = 'pending' THEN CAST($3 AS text) ELSE 'decided before' END,
    updated_at = $4
WHERE user_id = $1 AND id = $2
