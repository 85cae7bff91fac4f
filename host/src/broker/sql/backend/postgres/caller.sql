-- Who is calling, as the database knows it. The host hands over a token at the
-- start of a transaction; `enter` checks it and leaves a seal in the setting
-- `innkeeper.caller`, which every role can write and nobody else can make: it is
-- a MAC over the caller, this backend and this transaction. Policies ask
-- `caller()`, which gives the name back while the seal fits, and NULL, which
-- owns no row, in every other case.
--
-- MACs are sha256(key || sha256(key || text)); the nesting is against length
-- extension. The path of each function is the system's own, so that nothing a
-- role makes can stand in for what is called here.

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

-- token: in hexadecimal, 32 bytes of MAC and then kid|expires|pid|role|caller;
-- `expires` in microseconds since 1970, `pid` 0 for whichever backend.
CREATE OR REPLACE FUNCTION innkeeper.enter(token text) RETURNS void
    LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    raw bytea := decode(token, 'hex');
    body text := convert_from(substr(raw, 33), 'UTF8');
    key_id text := split_part(body, '|', 1);
    expires text := split_part(body, '|', 2);
    pid text := split_part(body, '|', 3);
    role text := split_part(body, '|', 4);
    who text := substr(body, length(key_id) + length(expires) + length(pid) + length(role) + 5);
    secret bytea;
    seal text;
BEGIN
    SELECT k.key INTO secret FROM innkeeper.key k WHERE k.kid::text = key_id;
    IF secret IS NULL
        OR substr(raw, 1, 32) IS DISTINCT FROM
            sha256(secret || sha256(secret || convert_to('token|', 'UTF8') || substr(raw, 33)))
    THEN
        RAISE insufficient_privilege USING MESSAGE = 'the caller''s token was not made by this database''s host';
    END IF;
    IF role <> session_user OR (pid <> '0' AND pid <> pg_backend_pid()::text) OR who = ''
        OR expires::bigint < extract(epoch FROM clock_timestamp()) * 1000000
    THEN
        RAISE insufficient_privilege USING MESSAGE = 'the caller''s token is for another session, or out of date';
    END IF;
    seal := key_id || '|' || pg_backend_pid() || '|' || extract(epoch FROM transaction_timestamp()) || '|' || who;
    -- An assignment, because the server plans it without values. Inside the PERFORM
    -- the key would be a constant of the plan, which a session may ask to be shown
    -- (debug_print_plan).
    seal := encode(sha256(secret || sha256(secret || convert_to('seal|' || seal, 'UTF8'))), 'hex') || seal;
    PERFORM set_config('innkeeper.caller', seal, true);
END
$body$;

-- PARALLEL RESTRICTED: a parallel worker has another pid.
CREATE OR REPLACE FUNCTION innkeeper.caller() RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    set text := current_setting('innkeeper.caller', true);
    seal text := substr(set, 65);
    key_id text := split_part(seal, '|', 1);
    here text := key_id || '|' || pg_backend_pid() || '|' || extract(epoch FROM transaction_timestamp()) || '|';
    secret bytea;
BEGIN
    -- A setting that was local to an earlier transaction reads as ''.
    IF set IS NULL OR NOT starts_with(seal, here) THEN
        RETURN NULL;
    END IF;
    SELECT k.key INTO secret FROM innkeeper.key k WHERE k.kid::text = key_id;
    IF secret IS NULL OR left(set, 64) IS DISTINCT FROM
        encode(sha256(secret || sha256(secret || convert_to('seal|' || seal, 'UTF8'))), 'hex')
    THEN
        RETURN NULL;
    END IF;
    RETURN substr(seal, length(here) + 1);
END
$body$;

REVOKE ALL ON innkeeper.key, innkeeper.login, innkeeper.migrations FROM PUBLIC;
REVOKE ALL ON FUNCTION innkeeper.enter(text), innkeeper.caller() FROM PUBLIC;
REVOKE ALL ON SCHEMA innkeeper FROM PUBLIC;
