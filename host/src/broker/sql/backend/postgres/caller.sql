-- Who is calling, as the database knows it. The host hands over a token at the
-- start of a transaction; `enter` checks it and leaves a seal in the setting
-- `innkeeper.caller`, which every role can write and nobody else can make: it is
-- a MAC over the caller, this backend and this transaction. Policies ask
-- `caller()`, which gives the name back while the seal fits, and NULL, which
-- owns no row, in every other case.
--
-- A MAC is sha384(key || text), where each text begins with what it is for and ends
-- with the one part that has no fixed length. SHA-384 gives away too little of its
-- state to be gone on with, so that this needs no second hash (length extension).
-- Every key of the table is tried: there is one, or two while keys change.
--
-- The path of each function is the system's own, so that nothing a role makes can
-- stand in for what is called here. Both run for each call of a guest, and a server
-- sets up every expression anew in every transaction: fewer are quicker.

CREATE TABLE IF NOT EXISTS innkeeper.key (
    kid int PRIMARY KEY,
    key bytea NOT NULL CHECK (length(key) >= 32),
    made_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS innkeeper.login (
    module text PRIMARY KEY,
    role text NOT NULL,
    password text NOT NULL
);

-- token: in hexadecimal, 48 bytes of MAC and then text: when it ends, in microseconds
-- since 1970, 16 digits; the pid it is for, 10 digits, 0 for whichever backend; the
-- caller. The role it is for is in the MAC alone.
CREATE OR REPLACE FUNCTION innkeeper.enter(token text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    raw bytea := decode(token, 'hex');
    told text := convert_from(substr(raw, 49), 'UTF8');
    seal text;
BEGIN
    -- Token and seal in one statement, so that the key is in no variable: a variable
    -- becomes a constant of a plan, which a session may ask to be shown
    -- (debug_print_plan).
    SELECT encode(sha384(k.key || 'seal|' || int4send(pg_backend_pid()) || timestamptz_send(transaction_timestamp())
                         || substr(raw, 75)), 'hex') || substr(told, 27)
        INTO seal FROM innkeeper.key k
        WHERE substr(raw, 1, 48) = sha384(k.key || convert_to('token|' || session_user || '|', 'UTF8') || substr(raw, 49));
    IF seal IS NULL THEN
        RAISE insufficient_privilege USING MESSAGE = 'the caller''s token was not made by this database''s host';
    END IF;
    IF left(told, 16)::bigint < date_part('epoch', clock_timestamp()) * 1000000
        OR substr(told, 17, 10)::int NOT IN (0, pg_backend_pid()) OR length(told) = 26
    THEN
        RAISE insufficient_privilege USING MESSAGE = 'the caller''s token is for another session, or out of date';
    END IF;
    seal := set_config('innkeeper.caller', seal, true);
END
$body$;

-- PARALLEL RESTRICTED: a parallel worker has another pid. A setting that was local
-- to an earlier transaction reads as '', one that never was as NULL.
CREATE OR REPLACE FUNCTION innkeeper.caller() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    set text := current_setting('innkeeper.caller', true);
    who text;
BEGIN
    SELECT substr(set, 97)
        INTO who FROM innkeeper.key k
        WHERE left(set, 96) = encode(sha384(k.key || 'seal|' || int4send(pg_backend_pid())
                                            || timestamptz_send(transaction_timestamp())
                                            || convert_to(substr(set, 97), 'UTF8')), 'hex');
    RETURN who;
END
$body$;

REVOKE ALL ON innkeeper.key, innkeeper.login, innkeeper.migrations FROM PUBLIC;
REVOKE ALL ON FUNCTION innkeeper.enter(text), innkeeper.caller() FROM PUBLIC;
REVOKE ALL ON SCHEMA innkeeper FROM PUBLIC;
