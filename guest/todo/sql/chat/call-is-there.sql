-- Fails when the claimed call went with its conversation.
INSERT INTO tool_calls (user_id, conversation_id, turn, step, place, call_id, name, arguments, status)
SELECT CAST($1 AS text), 0, 0, 0, 0, '', '', '', 'not there'
WHERE NOT EXISTS (SELECT 1 FROM tool_calls t WHERE t.user_id = $1 AND t.id = $2)
