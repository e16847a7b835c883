/**
 * The store's operations as functions in the database: one statement each, so one round trip, on the server's clock, so
 * that processes whose clocks disagree agree on leases. `S` stands for the quoted schema. `p_now` is the time in tests,
 * in ms since the epoch, and null otherwise.
 *
 * Every statement of a function sees what was committed before that statement, as long as the transaction is READ
 * COMMITTED; under the stricter levels the server refuses with 40001 instead, and the caller asks again.
 *
 * Own errors: HF001 the transaction was ended by somebody else, HF002 the lease is not the caller's, HF003 a row that no
 * version of this store has written.
 */

/** What every operation is: it never waits long for a row that somebody else's open transaction holds. */
const IMPATIENT = "LANGUAGE plpgsql VOLATILE SET lock_timeout = '1s'"

const NOW = `
CREATE FUNCTION S.holdfast_now(p_now double precision) RETURNS timestamptz LANGUAGE sql VOLATILE AS $f$
  SELECT coalesce(to_timestamp(p_now / 1000), clock_timestamp())
$f$;`

/**
 * Looks at most at as many rows as a scope may have, and only when it is asked to: a counter row of the scope would make
 * its keys wait for each other. Answers how many more keys there is room for, or null and when the first one expires.
 */
const ROOM = `
CREATE FUNCTION S.holdfast_room(
  p_scope text, p_max_keys double precision, p_now timestamptz, OUT room bigint, OUT until_ms double precision
) LANGUAGE plpgsql VOLATILE AS $f$
BEGIN
  SELECT p_max_keys - count(*) INTO room FROM (
    SELECT FROM S.holdfast_keys k WHERE k.scope = p_scope AND k.expires_at > p_now LIMIT p_max_keys::bigint
  ) AS kept;
  IF room <= 0 THEN
    SELECT NULL, extract(epoch FROM min(k.expires_at)) * 1000 INTO room, until_ms
      FROM S.holdfast_keys k WHERE k.scope = p_scope AND k.expires_at > p_now;
  END IF;
END $f$;`

/**
 * Deletes at most so many expired rows; those that somebody is at are left for the next time. Materialized, so that no
 * plan looks for them more than once, each time beyond those that are locked by then.
 */
const PURGE = `
CREATE FUNCTION S.holdfast_purge(p_rows integer, p_now double precision) RETURNS text ${IMPATIENT} AS $f$
DECLARE
  v_now timestamptz := S.holdfast_now(p_now);
  v_deleted bigint;
BEGIN
  WITH expired AS MATERIALIZED (
    SELECT x.scope, x.key FROM S.holdfast_keys x WHERE x.expires_at <= v_now
      ORDER BY x.expires_at LIMIT p_rows FOR UPDATE SKIP LOCKED
  ) DELETE FROM S.holdfast_keys k USING expired WHERE k.scope = expired.scope AND k.key = expired.key;
  GET DIAGNOSTICS v_deleted = ROW_COUNT;
  RETURN v_deleted;
END $f$;`

/**
 * A duplicate is answered by the first SELECT alone: no lock, nothing written. A new key is inserted unless somebody was
 * quicker; a free one is taken by who locks the row as it was seen. A row that is locked for longer has an owner whose
 * transaction is open: it is busy, whatever became of its lease.
 */
const ACQUIRE = `
CREATE FUNCTION S.holdfast_acquire(
  p_scope text, p_key text, p_fingerprint text, p_owner text, p_lease_ms double precision, p_ttl_ms double precision,
  p_takeover integer, p_max_keys double precision, p_counting integer, p_full_until_ms double precision,
  p_purge_rows integer, p_now double precision, OUT answer text, OUT number text, OUT content text
) ${IMPATIENT} AS $f$
DECLARE
  seen S.holdfast_keys%ROWTYPE;
  v_lease interval := p_lease_ms * interval '1 millisecond';
  v_now timestamptz;
  v_window_end timestamptz;
  v_known boolean;
  v_live boolean;
  v_until_ms double precision;
BEGIN
  FOR v_attempt IN 1..4 LOOP
    v_now := S.holdfast_now(p_now);
    v_window_end := v_now + p_ttl_ms * interval '1 millisecond';
    SELECT * INTO seen FROM S.holdfast_keys k WHERE k.scope = p_scope AND k.key = p_key;
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
        PERFORM FROM S.holdfast_keys k WHERE k.scope = p_scope AND k.key = p_key AND k.fence = seen.fence
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
      v_until_ms := CASE WHEN S.holdfast_now(p_full_until_ms) > v_now THEN p_full_until_ms END;
      IF v_until_ms IS NULL AND p_counting = 1 THEN
        SELECT r.room - 1, r.until_ms INTO content, v_until_ms FROM S.holdfast_room(p_scope, p_max_keys, v_now) AS r;
      END IF;
      IF v_until_ms IS NOT NULL THEN
        answer := 'full';
        number := ceil(v_until_ms - extract(epoch FROM v_now) * 1000);
        content := v_until_ms;
        EXIT;
      END IF;
    END IF;
    IF NOT v_known THEN
      INSERT INTO S.holdfast_keys
          (scope, key, state, fingerprint, owner, fence, lease_until, window_end, expires_at)
        VALUES (p_scope, p_key, 'active', p_fingerprint, p_owner, 1, v_now + v_lease, v_window_end,
          greatest(v_window_end, v_now + 2 * v_lease))
        ON CONFLICT DO NOTHING;
      IF NOT FOUND THEN
        CONTINUE;
      END IF;
      number := 1;
    ELSE
      PERFORM FROM S.holdfast_keys k WHERE k.scope = p_scope AND k.key = p_key AND k.fence = seen.fence
        AND k.state = seen.state AND k.lease_until = seen.lease_until FOR UPDATE SKIP LOCKED;
      IF NOT FOUND THEN
        PERFORM pg_sleep(0.005 * v_attempt);
        CONTINUE;
      END IF;
      UPDATE S.holdfast_keys k SET state = 'active', fingerprint = p_fingerprint, owner = p_owner,
          fence = seen.fence + 1, lease_until = v_now + v_lease, window_end = v_window_end,
          expires_at = greatest(v_window_end, v_now + 2 * v_lease), response = NULL
        WHERE k.scope = p_scope AND k.key = p_key;
      number := seen.fence + 1;
    END IF;
    answer := 'acquired';
    IF p_purge_rows > 0 THEN
      PERFORM S.holdfast_purge(p_purge_rows, p_now);
    END IF;
    EXIT;
  END LOOP;
  IF answer IS NULL THEN
    answer := 'busy';
    number := 1000;
  END IF;
END $f$;`

/** Two that overtake each other on their way must not shorten the lease. */
const HEARTBEAT = `
CREATE FUNCTION S.holdfast_heartbeat(
  p_scope text, p_key text, p_owner text, p_lease_ms double precision, p_now double precision
) RETURNS text ${IMPATIENT} AS $f$
DECLARE
  v_lease interval := p_lease_ms * interval '1 millisecond';
  v_until timestamptz := S.holdfast_now(p_now) + v_lease;
BEGIN
  UPDATE S.holdfast_keys k SET lease_until = greatest(k.lease_until, v_until),
      expires_at = greatest(k.expires_at, v_until + v_lease)
    WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'active';
  RETURN CASE WHEN FOUND THEN 'extended' ELSE 'lost' END;
END $f$;`

/** Again by the same owner changes nothing: an answer that got lost can be asked for again. */
const COMPLETE = `
CREATE FUNCTION S.holdfast_complete(
  p_scope text, p_key text, p_owner text, p_lease_ms double precision, p_response text, p_now double precision
) RETURNS text ${IMPATIENT} AS $f$
BEGIN
  UPDATE S.holdfast_keys k SET state = 'done', response = decode(p_response, 'base64'), expires_at =
      greatest(k.window_end, S.holdfast_now(p_now) + p_lease_ms * interval '1 millisecond')
    WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'active';
  IF NOT FOUND THEN
    PERFORM FROM S.holdfast_keys k
      WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'done';
  END IF;
  RETURN CASE WHEN FOUND THEN 'completed' ELSE 'stale' END;
END $f$;`

/** A tombstone stays, so that the fence goes on. */
const RELEASE = `
CREATE FUNCTION S.holdfast_release(p_scope text, p_key text, p_owner text) RETURNS text ${IMPATIENT} AS $f$
BEGIN
  UPDATE S.holdfast_keys k SET state = 'released'
    WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'active';
  IF NOT FOUND THEN
    PERFORM FROM S.holdfast_keys k
      WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'released';
  END IF;
  RETURN CASE WHEN FOUND THEN 'released' ELSE 'stale' END;
END $f$;`

const READ = `
CREATE FUNCTION S.holdfast_read(p_scope text, p_key text, p_fingerprint text) RETURNS text
LANGUAGE sql STABLE AS $f$
  SELECT encode(k.response, 'base64') FROM S.holdfast_keys k
    WHERE k.scope = p_scope AND k.key = p_key AND k.fingerprint = p_fingerprint AND k.state = 'done'
$f$;`

/**
 * Opens the store's part of a transaction: the row lock is the lease from here on, and needs no clock. A process that
 * stands still with it would hold it for ever, so the server ends an idle transaction after `p_idle_ms`. Answers the
 * transaction's number, and whether the lease is the caller's.
 */
const LOCK = `
CREATE FUNCTION S.holdfast_lock(
  p_scope text, p_key text, p_owner text, p_idle_ms double precision, OUT number text, OUT answer text
) ${IMPATIENT} AS $f$
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
    PERFORM FROM S.holdfast_keys k
      WHERE k.scope = p_scope AND k.key = p_key AND k.owner = p_owner AND k.state = 'active' FOR UPDATE;
    IF NOT FOUND THEN
      answer := 'stale';
    END IF;
  END IF;
END $f$;`

/** Whether this is still the transaction that the store began: a handler may have ended it, and begun another one. */
const CHECK = `
CREATE FUNCTION S.holdfast_check(p_transaction text) RETURNS void LANGUAGE plpgsql VOLATILE AS $f$
BEGIN
  IF txid_current()::text <> p_transaction THEN
    RAISE EXCEPTION 'the transaction was ended inside transaction(fn)' USING ERRCODE = 'HF001';
  END IF;
END $f$;`

/** Completes inside the transaction; raises where that must not be committed, so that a COMMIT may follow at once. */
const FINISH = `
CREATE FUNCTION S.holdfast_finish(
  p_transaction text, p_scope text, p_key text, p_owner text, p_lease_ms double precision, p_response text,
  p_now double precision
) RETURNS void LANGUAGE plpgsql VOLATILE AS $f$
BEGIN
  PERFORM S.holdfast_check(p_transaction);
  IF S.holdfast_complete(p_scope, p_key, p_owner, p_lease_ms, p_response, p_now) <> 'completed' THEN
    RAISE EXCEPTION 'the key was taken over' USING ERRCODE = 'HF002';
  END IF;
END $f$;`

export const FUNCTIONS: readonly string[] = [
  NOW,
  ROOM,
  PURGE,
  ACQUIRE,
  HEARTBEAT,
  COMPLETE,
  RELEASE,
  READ,
  LOCK,
  CHECK,
  FINISH,
]
