-- Newest first below $2, or oldest first above it: ids are given in order.
SELECT c.id, c.title, c.created_at
FROM conversations c
WHERE c.user_id = $1 AND (CASE WHEN CAST($3 AS boolean) THEN c.id > $2 ELSE c.id < $2 END)
ORDER BY CASE WHEN $3 THEN c.id END, c.id DESC
LIMIT $4
