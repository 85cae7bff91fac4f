SELECT id, turn, step, content, finish, continuation, created_at
FROM messages
WHERE user_id = $1 AND conversation_id = $2 AND turn >= $3 AND turn <= $4
ORDER BY turn, step
