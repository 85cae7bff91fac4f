-- Fails when the step is there: another request continued the turn.
INSERT INTO messages (user_id, conversation_id, turn, step, role, content, finish, continuation, created_at)
VALUES ($1, $2, $3, $4, 'assistant', $5, $6, $7, $8)
RETURNING id
