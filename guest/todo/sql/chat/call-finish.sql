UPDATE tool_calls
SET status = 'done', result = $3, failed = $4, updated_at = $5
WHERE user_id = $1 AND id = $2 AND status IN ('approved', 'running')
