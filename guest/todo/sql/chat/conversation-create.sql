INSERT INTO conversations (user_id, title, created_at, updated_at)
VALUES ($1, $2, $3, $3)
RETURNING id, user_id, title, created_at, updated_at
