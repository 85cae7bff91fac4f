-- What the user says begins the next turn.
INSERT INTO messages (user_id, conversation_id, turn, step, role, content, finish, created_at)
VALUES ($1, $2, (SELECT coalesce(max(m.turn), 0) + 1 FROM messages m WHERE m.user_id = $1 AND m.conversation_id = $2), 0, 'user', $3, 'stop', $4)
RETURNING id, turn
