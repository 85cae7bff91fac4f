-- Its messages and calls go with it.
DELETE FROM conversations
WHERE user_id = $1 AND id = $2
