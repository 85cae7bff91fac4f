-- A turn has one answer, however many steps it took: step 1 stands for all.
SELECT c.id, c.user_id, c.title, c.created_at, c.updated_at,
    (SELECT count(*) FROM messages m WHERE m.user_id = $1 AND m.conversation_id = c.id AND m.step <= 1) AS message_count,
    (SELECT coalesce(max(m.turn), 0) FROM messages m WHERE m.user_id = $1 AND m.conversation_id = c.id) AS turns
FROM conversations c
WHERE c.user_id = $1 AND c.id = $2
