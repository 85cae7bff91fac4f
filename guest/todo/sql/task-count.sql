-- How many rows task-search has in all its pages.
SELECT count(*) AS total
FROM tasks
WHERE user_id = $1
    AND (CAST($2 AS boolean) IS NULL OR completed = $2)
    AND (CAST($3 AS text) IS NULL OR priority = $3)
    AND (CAST($4 AS text) IS NULL OR lower(title) LIKE lower($4) ESCAPE '!' OR lower(description) LIKE lower($4) ESCAPE '!')
    AND (CAST($5 AS text) IS NULL OR tag_index LIKE $5 ESCAPE '!')
