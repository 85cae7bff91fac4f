-- Also the lock that turns of one conversation take, one after the other.
UPDATE conversations
SET updated_at = $3
WHERE user_id = $1 AND id = $2
