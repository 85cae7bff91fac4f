-- Every filter and order of the list; a filter that is NULL is off. The casts
-- tell Postgres the type of a parameter that it meets alone.
SELECT id, user_id, title, description, completed, priority, due_date, tags, created_at, updated_at
FROM tasks
WHERE user_id = $1
    AND (CAST($2 AS boolean) IS NULL OR completed = $2)
    AND (CAST($3 AS text) IS NULL OR priority = $3)
    AND (CAST($4 AS text) IS NULL OR lower(title) LIKE lower($4) ESCAPE '!' OR lower(description) LIKE lower($4) ESCAPE '!')
    AND (CAST($5 AS text) IS NULL OR tag_index LIKE $5 ESCAPE '!')
ORDER BY
    CASE WHEN CAST($6 AS text) = 'created_asc' THEN created_at END,
    CASE WHEN $6 = 'created_asc' THEN id END,
    CASE WHEN $6 = 'updated_asc' THEN updated_at END,
    CASE WHEN $6 = 'updated_desc' THEN updated_at END DESC,
    CASE WHEN $6 = 'title_asc' THEN lower(title) END,
    CASE WHEN $6 = 'title_desc' THEN lower(title) END DESC,
    CASE WHEN $6 = 'due_date_asc' THEN due_date END ASC NULLS LAST,
    CASE WHEN $6 = 'due_date_desc' THEN due_date END DESC NULLS LAST,
    CASE WHEN $6 = 'priority_asc' THEN CASE priority WHEN 'low' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END END,
    CASE WHEN $6 = 'priority_desc' THEN CASE priority WHEN 'low' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END END DESC,
    created_at DESC,
    id DESC
LIMIT $7 OFFSET $8
