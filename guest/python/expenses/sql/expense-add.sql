INSERT INTO expenses (user_id, category, cents, day, created_at)
VALUES ($1, $2, $3, $4, $5)
