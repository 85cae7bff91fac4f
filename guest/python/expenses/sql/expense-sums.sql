SELECT category, sum(cents) AS cents
FROM expenses
WHERE user_id = $1 AND day >= $2 AND day <= $3
GROUP BY category
ORDER BY sum(cents) DESC, category
LIMIT 1000
