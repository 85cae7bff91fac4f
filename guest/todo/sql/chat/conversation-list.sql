SELECT c.id, c.user_id, c.title, c.created_at, c.updated_at,
    (SELECT count(*) FROM messages m WHERE m.user_id = $1 AND m.conversation_id = c.id AND m.step <= 1) AS message_count
FROM conversations c
WHERE c.user_id = $1
ORDER BY
    CASE WHEN CAST($2 AS text) = 'created_asc' THEN c.created_at END,
    CASE WHEN $2 = 'created_desc' THEN c.created_at END DESC,
    CASE WHEN $2 = 'updated_asc' THEN c.updated_at END,
    CASE WHEN $2 = 'updated_asc' THEN c.id END,
    CASE WHEN $2 = 'created_asc' THEN c.id END,
    c.updated_at DESC,
    c.id DESC
LIMIT $3 OFFSET $4
