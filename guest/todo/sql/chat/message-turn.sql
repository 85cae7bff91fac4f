-- Which turn a user's message began.
SELECT turn
FROM messages
WHERE user_id = $1 AND conversation_id = $2 AND id = $3 AND step = 0
