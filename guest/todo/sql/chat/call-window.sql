-- The latest first: of more than these, the oldest are left out.
SELECT id, turn, step, place, call_id, name, arguments, status, result, failed
FROM tool_calls
WHERE user_id = $1 AND conversation_id = $2 AND turn >= $3 AND turn <= $4
ORDER BY turn DESC, step DESC, place DESC
LIMIT $5
