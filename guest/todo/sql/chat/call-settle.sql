-- A user who goes on talking has not approved what waited for it. What a run of
-- before $4 was doing when it was cut off will not end any more.
UPDATE tool_calls
SET status = CASE WHEN status = 'pending' THEN 'rejected' ELSE 'lost' END,
    updated_at = $3
WHERE user_id = $1 AND conversation_id = $2 AND (status = 'pending' OR (status = 'running' AND updated_at < $4))
