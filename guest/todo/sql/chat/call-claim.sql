-- Before a tool's own statements, in one transaction with them: fails, and they
-- with it, when the call is not approved or somebody has claimed it before.
UPDATE tool_calls
SET status = CASE WHEN status = 'approved' THEN 'running' ELSE 'claimed before' END,
    updated_at = $3
WHERE user_id = $1 AND id = $2
