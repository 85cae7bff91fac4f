INSERT INTO tool_calls (user_id, conversation_id, turn, step, place, call_id, name, arguments, status, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING id
