-- Takes back the end of an answer, which is asked for again.
DELETE FROM messages
WHERE user_id = $1 AND conversation_id = $2 AND turn = $3 AND step = $4
