-- What the user thinks of the answer to the message $3.
UPDATE messages
SET feedback = $4
WHERE user_id = $1 AND conversation_id = $2 AND step > 0
    AND turn = (SELECT m.turn FROM messages m WHERE m.user_id = $1 AND m.conversation_id = $2 AND m.id = $3 AND m.step = 0)
