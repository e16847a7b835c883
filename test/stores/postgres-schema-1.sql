SELECT pg_advisory_xact_lock(7521962890172731);
DO $holdfast$
DECLARE
  v_version integer;
BEGIN
  IF to_regnamespace('"the schema"') IS NULL THEN
    CREATE SCHEMA "the schema";
  END IF;
  IF to_regclass('"the schema".holdfast_schema') IS NOT NULL THEN
    SELECT max(version) INTO v_version FROM "the schema".holdfast_schema;
    IF v_version = 1 THEN
      RETURN;
    END IF;
    RAISE EXCEPTION 'postgresStore: the tables in schema % have version %, this package knows 1',
      'the schema', v_version;
  END IF;
  IF to_regclass('"the schema".holdfast_keys') IS NOT NULL THEN
    RAISE EXCEPTION 'postgresStore: schema % has a table holdfast_keys that is not of Holdfast', 'the schema';
  END IF;

  CREATE TABLE "the schema".holdfast_schema (version integer NOT NULL);
  INSERT INTO "the schema".holdfast_schema (version) VALUES (1);
  CREATE TABLE "the schema".holdfast_keys (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'done', 'released')),
    fingerprint text NOT NULL,
    owner text NOT NULL,
    fence bigint NOT NULL CHECK (fence >= 1),
    lease_until timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    response bytea,
    PRIMARY KEY (scope, key),
    CHECK ((state = 'done') = (response IS NOT NULL))
  ) WITH (fillfactor = 70);
  CREATE INDEX holdfast_keys_expiry ON "the schema".holdfast_keys (expires_at);


CREATE FUNCTION "the schema".holdfast_now(p_now double precision) RETURNS timestamptz LANGUAGE sql VOLATILE AS $f$
  SELECT coalesce(to_timestamp(p_now / 1000), clock_timestamp())
$f$;

CREATE FUNCTION "the schema".holdfast_room(
  p_scope text, p_max_keys double precision, p_now timestamptz, OUT room bigint, OUT until_ms double precision
) LANGUAGE plpgsql VOLATILE AS $f$
BEGIN
  SELECT p_max_keys - count(*) INTO room FROM (
    SELECT FROM "the schema".holdfast_keys k WHERE k.scope = p_scope AND k.expires_at > p_now LIMIT p_max_keys::bigint
  ) AS kept;
  IF room <= 0 THEN
    SELECT NULL, extract(epoch FROM min(k.expires_at)) * 1000 INTO room, until_ms
      FROM "the schema".holdfast_keys k WHERE k.scope = p_scope AND k.expires_at > p_now;
  END IF;
END $f$;

CREATE FUNCTION "the schema".holdfast_purge(p_rows integer, p_now double precision) RETURNS text LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s' AS $f$
DECLARE
  v_now timestamptz := "the schema".holdfast_now(p_now);
  v_deleted bigint;
BEGIN
  DELETE FROM "the schema".holdfast_keys k USING (
    SELECT x.scope, x.key FROM "the schema".holdfast_keys x WHERE x.expires_at <= v_now
      ORDER BY x.expires_at LIMIT p_rows FOR UPDATE SKIP LOCKED
  ) AS expired WHERE k.scope = expired.scope AND k.key = expired.key;
  GET DIAGNOSTICS v_deleted = ROW_COUNT;
  RETURN v_deleted;
END $f$;

CREATE FUNCTION "the schema".holdfast_acquire(
  p_scope text, p_key text, p_fingerprint text, p_owner text, p_lease_ms double precision, p_ttl_ms double precision,
  p_takeover integer, p_max_keys double precision, p_counting integer, p_full_until_ms double precision,
  p_purge_rows integer, p_now double precision, OUT answer text, OUT number text, OUT content text
) LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s' AS $f$
DECLARE
  seen "the schema".holdfast_keys%ROWTYPE;
  v_lease interval := p_lease_ms * interval '1 millisecond';
  v_now timestamptz;
  v_window_end timestamptz;
  v_known boolean;
  v_live boolean;
  v_until_ms double precision;
BEGIN
  FOR v_attempt IN 1..4 LOOP
    v_now := "the schema".holdfast_now(p_now);
    v_window_end := v_now + p_ttl_ms * interval '1 millisecond';
    SELECT * INTO seen FROM "the schema".holdfast_keys k WHERE k.scope = p_scope AND k.key = p_key;
    v_known := FOUND;
    IF v_known AND (seen.state IN ('active', 'done', 'released') AND (seen.state = 'done') = (seen.response IS NOT NULL)
        AND seen.fence >= 1 AND seen.fingerprint IS NOT NULL AND seen.owner IS NOT NULL
        AND seen.lease_until IS NOT NULL AND seen.expires_at IS NOT NULL) IS NOT TRUE THEN
      RAISE EXCEPTION 'a row of holdfast_keys holds what Holdfast never wrote' USING ERRCODE = 'HF003';
    END IF;
    v_live := v_known AND seen.expires_at > v_now;
    IF v_live AND seen.state <> 'released' THEN
      IF seen.fingerprint <> p_fingerprint THEN
        answer := 'mismatch';
      ELSIF seen.state = 'done' THEN
        answer := 'done';
        content := encode(seen.response, 'base64');
      ELSIF seen.owner = p_owner THEN
        answer := 'acquired';
        number := seen.fence;
      ELSIF seen.lease_until > v_now THEN
        answer := 'busy';
        number := ceil(extract(epoch FROM seen.lease_until - v_now) * 1000);
      END IF;
      EXIT WHEN answer IS NOT NULL;
      IF p_takeover = 0 THEN
        PERFORM FROM "the schema".holdfast_keys k WHERE k.scope = p_scope AND k.key = p_key AND k.fence = seen.fence
          AND k.state = seen.state AND k.lease_until = seen.lease_until FOR SHARE SKIP LOCKED;
        IF FOUND THEN
          answer := 'abandoned';
          EXIT;
        END IF;
        PERFORM pg_sleep(0.005 * v_attempt);
        CONTINUE;
      END IF;
    END IF;
    IF NOT v_live THEN
      v_until_ms := CASE WHEN "the schema".holdfast_now(p_full_until_ms) > v_now THEN p_full_until_ms END;
      IF v_until_ms IS NULL AND p_counting = 1 THEN
        SELECT r.room - 1, r.until_ms INTO content, v_until_ms FROM "the schema".holdfast_room(p_scope, p_max_keys, v_now) AS r;
      END IF;
      IF v_until_ms IS NOT NULL THEN
        answer := 'full';
        number := ceil(v_until_ms - extract(epoch FROM v_now) * 1000);
        content := v_until_ms;
        EXIT;
      END IF;
    END IF;
    IF NOT v_known THEN
      INSERT INTO "the schema".holdfast_keys
          (scope, key, state, fingerprint, owner, fence, lease_until, window_end, expires_at)
        VALUES (p_scope, p_key, 'active', p_fingerprint, p_owner, 1, v_now + v_lease, v_window_end,
          greatest(v_window_end, v_now + 2 * v_lease))
        ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        CONTINUE;
      END IF;
      number := 1;
    ELSE
      PERFORM FROM "the schema".holdfast_keys k WHERE k.scope = p_scope AND k.key = p_key AND k.fence = seen.fence
        AND k.state = seen.state AND k.lease_until = seen.lease_until FOR UPDATE SKIP LOCKED;
      IF NOT FOUND THEN
        PERFORM pg_sleep(0.005 * v_attempt);
        CONTINUE;
      END IF;
      UPDATE "the schema".holdfast_keys k SET state = 'active', fingerprint = p_fingerprint, owner = p_owner,
          fence = seen.fence + 1, lease_until = v_now + v_lease, window_end = v_window_end,
          expires_at = greatest(v_window_end, v_now + 2 * v_lease), response = NULL
        WHERE k.scope = p_scope AND k.key = p_key;
      number := seen.fence + 1;
    END IF;
    answer := 'acquired';
    IF p_purge_rows > 0 THEN
      PERFORM "the schema".holdfast_purge(p_purge_rows, p_now);
    END IF;
    EXIT;
  END LOOP;
  IF answer IS NULL THEN
    answer := 'busy';
    number := 1000;
  END IF;
END $f$;

CREATE FUNCTION "the schema".holdfast_heartbeat(
  p_scope text, p_key text, p_owner text, p_lease_ms double precision, p_now double precision
) RETURNS text LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s' AS $f$
DECLARE
  v_lease interval := p_lease_ms * interval '1 millisecond';
  v_until timestamptz := "the schema".holdfast_now(p_now) + v_lease;
BEGIN
  UPDATE "the schema".holdfast_keys k SET lease_until = greatest(k.lease_until, v_until),
      expires_at = greatest(k.expires_at, v_until + v_lease)
    WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'active';
  RETURN CASE WHEN FOUND THEN 'extended' ELSE 'lost' END;
END $f$;

CREATE FUNCTION "the schema".holdfast_complete(
  p_scope text, p_key text, p_owner text, p_lease_ms double precision, p_response text, p_now double precision
) RETURNS text LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s' AS $f$
BEGIN
  UPDATE "the schema".holdfast_keys k SET state = 'done', response = decode(p_response, 'base64'), expires_at =
      greatest(k.window_end, "the schema".holdfast_now(p_now) + p_lease_ms * interval '1 millisecond')
    WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'active';
  IF NOT FOUND THEN
    PERFORM FROM "the schema".holdfast_keys k
      WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'done';
  END IF;
  RETURN CASE WHEN FOUND THEN 'completed' ELSE 'stale' END;
END $f$;

CREATE FUNCTION "the schema".holdfast_release(p_scope text, p_key text, p_owner text) RETURNS text LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s' AS $f$
BEGIN
  UPDATE "the schema".holdfast_keys k SET state = 'released'
    WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'active';
  IF NOT FOUND THEN
    PERFORM FROM "the schema".holdfast_keys k
      WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'released';
  END IF;
  RETURN CASE WHEN FOUND THEN 'released' ELSE 'stale' END;
END $f$;

CREATE FUNCTION "the schema".holdfast_read(p_scope text, p_key text, p_fingerprint text) RETURNS text
LANGUAGE sql STABLE AS $f$
  SELECT encode(k.response, 'base64') FROM "the schema".holdfast_keys k
    WHERE k.scope = p_scope AND k.key = p_key AND k.fingerprint = p_fingerprint AND k.state = 'done'
$f$;

CREATE FUNCTION "the schema".holdfast_lock(
  p_scope text, p_key text, p_owner text, p_idle_ms double precision, OUT number text, OUT answer text
) LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s' AS $f$
DECLARE
  v_idle_ms double precision :=
    extract(epoch FROM current_setting('idle_in_transaction_session_timeout')::interval) * 1000;
BEGIN
  number := txid_current();
  answer := 'locked';
  IF p_owner IS NOT NULL THEN
    IF v_idle_ms = 0 OR v_idle_ms > p_idle_ms THEN
      PERFORM set_config('idle_in_transaction_session_timeout', ceil(least(p_idle_ms, 2147483647))::text, true);
    END IF;
    PERFORM FROM "the schema".holdfast_keys k
      WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'active' FOR UPDATE;
    IF NOT FOUND THEN
      answer := 'stale';
    END IF;
  END IF;
END $f$;

CREATE FUNCTION "the schema".holdfast_check(p_transaction text) RETURNS void LANGUAGE plpgsql VOLATILE AS $f$
BEGIN
  IF txid_current()::text <> p_transaction THEN
    RAISE EXCEPTION 'the transaction was ended inside transaction(fn)' USING ERRCODE = 'HF001';
  END IF;
END $f$;

CREATE FUNCTION "the schema".holdfast_finish(
  p_transaction text, p_scope text, p_key text, p_owner text, p_lease_ms double precision, p_response text,
  p_now double precision
) RETURNS void LANGUAGE plpgsql VOLATILE AS $f$
BEGIN
  PERFORM "the schema".holdfast_check(p_transaction);
  IF "the schema".holdfast_complete(p_scope, p_key, p_owner, p_lease_ms, p_response, p_now) <> 'completed' THEN
    RAISE EXCEPTION 'the key was taken over' USING ERRCODE = 'HF002';
  END IF;
END $f$;
END$holdfast$;
