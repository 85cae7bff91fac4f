SELECT id, text FROM notes WHERE user_id = $1 ORDER BY id DESC LIMIT 1000
