-- What was used of language models, and what is reserved. A reservation is one
-- call of `llm_reserve`: it takes a row lock for each key, in the order given,
-- and either everything fits and is counted, or nothing is. A look that was not
-- under the lock would let a crowd through.
--
-- Times are this server's, so that hosts whose clocks differ count alike: `ends`
-- in milliseconds, `minute` and `day` in whole ones, since 1970.

CREATE TABLE IF NOT EXISTS innkeeper.llm_used (
    key text PRIMARY KEY,
    minute bigint NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    day bigint NOT NULL DEFAULT 0,
    input bigint NOT NULL DEFAULT 0,
    output bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50); -- room for the next version of a row on its own page

-- One row per request in flight and key. A request whose host has died stays
-- counted until `ends`; what it had reserved stays counted as used.
CREATE TABLE IF NOT EXISTS innkeeper.llm_open (
    key text NOT NULL,
    request uuid NOT NULL,
    day bigint NOT NULL,
    input bigint NOT NULL,
    output bigint NOT NULL,
    ends bigint NOT NULL,
    PRIMARY KEY (key, request)
);

-- Locks the rows of these keys in their order, which is the same for all: two
-- that share some of them cannot wait for each other.
CREATE OR REPLACE FUNCTION innkeeper.llm_lock(keys text[]) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    locked bigint;
BEGIN
    LOOP
        PERFORM FROM unnest(keys) WITH ORDINALITY AS k (key, place) JOIN innkeeper.llm_used AS u ON u.key = k.key
            ORDER BY k.place FOR UPDATE OF u;
        GET DIAGNOSTICS locked = ROW_COUNT;
        EXIT WHEN locked = cardinality(keys);
        INSERT INTO innkeeper.llm_used (key) SELECT k.key FROM unnest(keys) WITH ORDINALITY AS k (key, place)
            ORDER BY k.place ON CONFLICT DO NOTHING;
    END LOOP;
END
$body$;

-- What is counted for these keys at this moment.
CREATE OR REPLACE FUNCTION innkeeper.llm_count(keys text[])
    RETURNS TABLE (place bigint, requests bigint, input bigint, output bigint, running bigint, now bigint)
    LANGUAGE sql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT k.place,
        CASE WHEN u.minute >= t.now / 60000 THEN u.requests ELSE 0 END,
        CASE WHEN u.day >= t.now / 86400000 THEN u.input ELSE 0 END,
        CASE WHEN u.day >= t.now / 86400000 THEN u.output ELSE 0 END,
        (SELECT count(*) FROM innkeeper.llm_open AS o WHERE o.key = k.key AND o.ends > t.now),
        t.now
    FROM (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now) AS t
    CROSS JOIN unnest(keys) WITH ORDINALITY AS k (key, place)
    LEFT JOIN innkeeper.llm_used AS u ON u.key = k.key
    ORDER BY k.place
$body$;

-- `caps`: four for each key (requests, input, output, running; 0: none). Answers
-- with the first key that is refused and the number of its cap, or with zeros.
CREATE OR REPLACE FUNCTION innkeeper.llm_reserve(
    request uuid, keys text[], caps bigint[], input bigint, output bigint, lives bigint
)
    RETURNS TABLE (place bigint, unit bigint, now bigint)
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_column
DECLARE
    this_minute bigint;
    this_day bigint;
BEGIN
    PERFORM innkeeper.llm_lock(keys);
    now := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
    place := 0;
    unit := 0;
    -- The host asks again when it has lost the answer.
    IF EXISTS (SELECT FROM innkeeper.llm_open AS o WHERE o.key = keys[1] AND o.request = llm_reserve.request) THEN
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT c.place, w.unit INTO place, unit
        FROM innkeeper.llm_count(keys) AS c
        CROSS JOIN LATERAL (VALUES
            (1, c.requests + 1),
            (2, c.input + llm_reserve.input),
            (3, c.output + llm_reserve.output),
            (4, c.running + 1)
        ) AS w (unit, total)
        WHERE caps[4 * (c.place - 1) + w.unit] > 0 AND w.total > caps[4 * (c.place - 1) + w.unit]
        ORDER BY c.place, w.unit LIMIT 1;
    IF FOUND THEN
        RETURN NEXT;
        RETURN;
    END IF;
    place := 0;
    unit := 0;
    this_minute := now / 60000;
    this_day := now / 86400000;
    -- A row that another server's clock, or a later look at this one's, has moved
    -- on to the next window stays there.
    UPDATE innkeeper.llm_used AS u SET
        minute = greatest(u.minute, this_minute),
        requests = CASE WHEN u.minute >= this_minute THEN u.requests ELSE 0 END + 1,
        day = greatest(u.day, this_day),
        input = CASE WHEN u.day >= this_day THEN u.input ELSE 0 END + llm_reserve.input,
        output = CASE WHEN u.day >= this_day THEN u.output ELSE 0 END + llm_reserve.output
        WHERE u.key = ANY (keys);
    INSERT INTO innkeeper.llm_open (key, request, day, input, output, ends)
        SELECT u.key, llm_reserve.request, u.day, llm_reserve.input, llm_reserve.output, now + lives
        FROM innkeeper.llm_used AS u WHERE u.key = ANY (keys);
    RETURN NEXT;
END
$body$;

-- Ends a reservation: what was used takes the place of what was reserved, in the
-- day in which it was. The second time it does nothing.
CREATE OR REPLACE FUNCTION innkeeper.llm_settle(request uuid, keys text[], input bigint, output bigint) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM innkeeper.llm_lock(keys);
    WITH ended AS (
        DELETE FROM innkeeper.llm_open AS o WHERE o.key = ANY (keys) AND o.request = llm_settle.request
            RETURNING o.key, o.day, o.input, o.output
    )
    UPDATE innkeeper.llm_used AS u SET
        input = greatest(0, u.input + llm_settle.input - e.input),
        output = greatest(0, u.output + llm_settle.output - e.output)
        FROM ended AS e WHERE u.key = e.key AND u.day = e.day;
END
$body$;

-- What counts for nothing any more. It waits for nobody's lock, and whoever uses
-- a row that it takes makes it again.
CREATE OR REPLACE FUNCTION innkeeper.llm_prune(before bigint) RETURNS void
    LANGUAGE sql VOLATILE STRICT SET search_path = pg_catalog, pg_temp
AS $body$
    DELETE FROM innkeeper.llm_open WHERE (key, request) IN
        (SELECT o.key, o.request FROM innkeeper.llm_open AS o WHERE o.ends < before LIMIT 10000 FOR UPDATE SKIP LOCKED);
    DELETE FROM innkeeper.llm_used WHERE key IN
        (SELECT u.key FROM innkeeper.llm_used AS u WHERE u.day < before / 86400000 AND u.minute < before / 60000
            LIMIT 10000 FOR UPDATE SKIP LOCKED);
$body$;

REVOKE ALL ON innkeeper.llm_used, innkeeper.llm_open FROM PUBLIC;
REVOKE ALL ON FUNCTION innkeeper.llm_lock(text[]), innkeeper.llm_count(text[]), innkeeper.llm_prune(bigint),
    innkeeper.llm_reserve(uuid, text[], bigint[], bigint, bigint, bigint),
    innkeeper.llm_settle(uuid, text[], bigint, bigint) FROM PUBLIC;
