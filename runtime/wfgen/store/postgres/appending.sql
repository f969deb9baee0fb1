-- Plans are kept for long, and are made when the tables are small or have no statistics. So what is to be found by one
-- index is written so that no other one fits: `coalesce(finished_at, 0) = 0` is not what the partial indexes of
-- unfinished runs ask for, and `state || ''` is in no index. (Measured: with 6,000 runs else forty times the entries and more.)

-- What a transition tells others. All of these are for runs whose rows the caller has locked: the runs that are given,
-- the parents of those that end, and the children that are asked to stop.

-- Ask the unfinished children of runs to stop, but those that go on alone; all, or those of one operation (key).
CREATE OR REPLACE FUNCTION cancel_children(runs_ bigint[], keys_ text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM runs
        WHERE parent = ANY (runs_) AND coalesce(finished_at, 0) = 0 AND on_parent_end = 'cancel'
    ) THEN
        INSERT INTO messages (run, kind)
            SELECT DISTINCT child.run, 'cancel' FROM unnest(runs_, keys_) AS given(run, key)
                JOIN runs AS child ON child.parent = given.run AND (given.key IS NULL OR child.parent_key = given.key)
            WHERE coalesce(child.finished_at, 0) = 0 AND child.on_parent_end = 'cancel'
                AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.run = child.run AND m.kind = 'cancel')
            ORDER BY child.run;
    END IF;
END $$;

-- Put the ends of finished runs into the inboxes of those that started them, if they still listen. As ChildEnd.dump.
CREATE OR REPLACE FUNCTION tell_parents(runs_ bigint[], types_ text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO messages (run, kind, name, payload)
        SELECT parent.run, 'child', child.parent_key, convert_to(json_build_array(child.status, child.version,
            given.type, child.error_type, child.error, child.error_code)::text || E'\n', 'UTF8')
            || coalesce(child.output, '')
        FROM unnest(runs_, types_) WITH ORDINALITY AS given(run, type, place)
            JOIN runs AS child ON child.run = given.run JOIN runs AS parent ON parent.run = child.parent
        WHERE coalesce(parent.finished_at, 0) = 0 AND parent.first_seq = child.parent_part
        ORDER BY given.place;
END $$;

-- Put the ends of finished jobs into the inboxes of their runs, if they wait for them and still listen. As JobEnd.dump.
CREATE OR REPLACE FUNCTION tell_of_jobs(jobs_ bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO messages (run, kind, name, payload)
        SELECT r.run, 'job', j.key, convert_to(json_build_array(j.status, j.attempt,
            coalesce(j.started_at, j.updated_at), j.type, j.error_type, j.error, j.details)::text || E'\n', 'UTF8')
            || coalesce(j.output, '')
        FROM unnest(jobs_) WITH ORDINALITY AS given(job, place) JOIN jobs AS j ON j.job = given.job
            JOIN runs AS r ON r.run = j.run
        WHERE j.awaited AND coalesce(r.finished_at, 0) = 0 AND r.first_seq = j.part
        ORDER BY given.place;
END $$;

-- Nobody waits any more for the unfinished jobs of runs; all, or those of one operation (key). Those that nobody works
-- end as cancelled, who works another one is asked to stop; what is not awaited goes on.
CREATE OR REPLACE FUNCTION give_up_jobs(runs_ bigint[], keys_ text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    found_ bigint[];
    ended_ bigint[];
BEGIN
    SELECT array_agg(locked.job) INTO found_ FROM (
        SELECT j.job FROM jobs AS j WHERE j.awaited AND coalesce(j.finished_at, 0) = 0 AND EXISTS (
            SELECT 1 FROM unnest(runs_, keys_) AS given(run, key)
            WHERE given.run = j.run AND (given.key IS NULL OR given.key = j.key))
            AND j.run = ANY (runs_)
        ORDER BY j.job FOR UPDATE) AS locked;
    IF found_ IS NULL THEN
        RETURN;
    END IF;
    WITH ended AS (
        UPDATE jobs SET status = 'cancelled', error_type = 'CancelledError', error = 'it was cancelled', details = '{}',
            updated_at = now_seconds(), finished_at = now_seconds()
        WHERE job = ANY (found_) AND finished_at IS NULL AND owner IS NULL RETURNING job)
    SELECT array_agg(job ORDER BY job) INTO ended_ FROM ended;
    UPDATE jobs SET cancel_requested = true WHERE job = ANY (found_) AND finished_at IS NULL AND NOT cancel_requested;
    IF ended_ IS NOT NULL THEN
        PERFORM tell_of_jobs(ended_);
    END IF;
END $$;

-- Record appends, at most one of each run, each one whole or not at all.
--
-- a_*: one entry for each append: the run's id, the epoch with which it is held, the number of the first event, and what
-- it may do to others: 0 nothing, 1 something to the run's children, 2 it ends the run, which its parent hears of.
-- e_*: one entry for each event; e_append is the place, from 1, of the append that it belongs to.
-- more: what else some appends bring, as lists by name, each entry with the append's place as `n`; null for nothing.
-- blobs: the byte strings of `more`, which names them by place, from 1.
--
-- Gives those that were refused, by place, with the verdict (1 no such run, 2 not held by that epoch, 3 not the next
-- event, 4 a message that it answers is gone), the run's epoch and owner, and the number of its next event.
CREATE OR REPLACE FUNCTION append_events(
    a_run_id text[], a_epoch bigint[], a_first bigint[], a_reach bigint[],
    e_append bigint[], e_seq bigint[], e_type text[], e_time double precision[], e_key text[], e_data text[],
    e_payload bytea[], more jsonb, blobs bytea[]
) RETURNS TABLE (o_place bigint, o_verdict integer, o_epoch bigint, o_owner text, o_next bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    verdicts integer[];
    numbers bigint[];
    own bigint[];
    leaving bigint[];
    others bigint[];
BEGIN
    IF more IS NULL THEN
        PERFORM 1 FROM runs WHERE run_id = ANY (a_run_id) ORDER BY run FOR NO KEY UPDATE;
    ELSE
        SELECT array_agg(r.run), array_agg(r.parent) FILTER (WHERE a.reach = 2 AND r.parent IS NOT NULL),
                array_agg(r.run) FILTER (WHERE a.reach > 0)
            INTO own, others, leaving
            FROM unnest(a_run_id, a_reach) AS a(run_id, reach) JOIN runs AS r ON r.run_id = a.run_id;
        IF leaving IS NOT NULL THEN
            SELECT others || array_agg(run) INTO others FROM runs
                WHERE parent = ANY (leaving) AND coalesce(finished_at, 0) = 0 AND on_parent_end = 'cancel';
        END IF;
        PERFORM 1 FROM runs WHERE run = ANY (own || others) ORDER BY run FOR NO KEY UPDATE;
    END IF;
    -- A statement of its own, so that it sees what was recorded until the rows were ours.
    SELECT array_agg(a.verdict), array_agg(a.run) INTO verdicts, numbers FROM (
        SELECT r.run, CASE WHEN r.run IS NULL THEN 1 WHEN r.epoch <> given.epoch OR r.owner IS NULL THEN 2
            WHEN given.first <> (SELECT max(seq) FROM events WHERE events.run = r.run) + 1 THEN 3 ELSE 0 END AS verdict
        FROM unnest(a_run_id, a_epoch, a_first) WITH ORDINALITY AS given(run_id, epoch, first, n)
            LEFT JOIN runs AS r ON r.run_id = given.run_id
        ORDER BY given.n) AS a;
    IF more ? 'consumed' THEN
        SELECT array_agg(v.verdict ORDER BY v.n) INTO verdicts FROM (
            SELECT v.n, CASE WHEN v.verdict = 0 AND EXISTS (
                SELECT 1 FROM jsonb_to_recordset(more->'consumed') AS c(n bigint, id bigint)
                WHERE c.n = v.n AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.id = c.id)
            ) THEN 4 ELSE v.verdict END AS verdict
            FROM unnest(verdicts) WITH ORDINALITY AS v(verdict, n)) AS v;
        DELETE FROM messages WHERE id IN (
            SELECT c.id FROM jsonb_to_recordset(more->'consumed') AS c(n bigint, id bigint) WHERE verdicts[c.n] = 0);
    END IF;
    INSERT INTO events (run, seq, type, time, key, data, payload)
        SELECT numbers[e.append], e.seq, e.type, e.time, e.key, e.data, e.payload
        FROM unnest(e_append, e_seq, e_type, e_time, e_key, e_data, e_payload)
            AS e(append, seq, type, time, key, data, payload)
        WHERE verdicts[e.append] = 0;
    IF more IS NOT NULL THEN
        PERFORM append_more(verdicts, numbers, more, blobs);
    END IF;
    IF 0 <> ANY (verdicts) THEN
        RETURN QUERY SELECT v.place, v.verdict, r.epoch, r.owner,
                (SELECT max(seq) FROM events WHERE events.run = v.run) + 1
            FROM unnest(verdicts, numbers) WITH ORDINALITY AS v(verdict, run, place) LEFT JOIN runs AS r ON r.run = v.run
            WHERE v.verdict <> 0;
    END IF;
END $$;

-- The rest of the appends that were not refused: what follows from their events.
CREATE OR REPLACE FUNCTION append_more(verdicts integer[], numbers bigint[], more jsonb, blobs bytea[]) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    now_ double precision := now_seconds();
    some_ bigint[];
    keys_ text[];
    types_ text[];
BEGIN
    IF more ? 'continued' THEN
        -- The part of a run that begins there has nothing to do with what is open from before.
        SELECT array_agg(numbers[s.n]) INTO some_
            FROM jsonb_to_recordset(more->'continued') AS s(n bigint) WHERE verdicts[s.n] = 0;
        UPDATE runs SET first_seq = s.seq FROM jsonb_to_recordset(more->'continued') AS s(n bigint, seq bigint)
            WHERE run = numbers[s.n] AND verdicts[s.n] = 0;
        UPDATE hooks SET state = 'closed' WHERE run = ANY (some_) AND state || '' = 'open';
        PERFORM cancel_children(some_, NULL);
        PERFORM give_up_jobs(some_, NULL);
        DELETE FROM messages WHERE run = ANY (some_) AND (token IS NOT NULL OR kind IN ('child', 'job'));
    END IF;
    IF more ? 'opened' THEN
        INSERT INTO hooks (token, run, key, name, due, state, created_at)
            SELECT s.token, numbers[s.n], s.key, s.name, s.due, s.state, s.created_at
            FROM jsonb_to_recordset(more->'opened') AS s(n bigint, token text, key text, name text,
                due double precision, state text, created_at double precision)
            WHERE verdicts[s.n] = 0;
    END IF;
    IF more ? 'children' THEN
        WITH given AS (
            SELECT numbers[s.n] AS parent, s.* FROM jsonb_to_recordset(more->'children') AS s(n bigint, run_id text,
                workflow text, version text, input bigint, salt text, idempotency_key text, key text,
                on_parent_end text, tags text, data text)
            WHERE verdicts[s.n] = 0),
        created AS (
            INSERT INTO runs (run_id, workflow, version, status, created_at, updated_at, salt, idempotency_key, tags,
                    parent, parent_key, on_parent_end, parent_part)
                SELECT g.run_id, g.workflow, g.version, 'pending', now_, now_, g.salt, g.idempotency_key, g.tags,
                    g.parent, g.key, g.on_parent_end, p.first_seq
                FROM given AS g JOIN runs AS p ON p.run = g.parent
                ON CONFLICT (run_id) DO NOTHING RETURNING run, run_id, tags),
        tagged AS (
            INSERT INTO tags (tag, created_at, run)
                SELECT DISTINCT t.tag, now_, c.run FROM created AS c, jsonb_array_elements_text(c.tags::jsonb) AS t(tag))
        INSERT INTO events (run, seq, type, time, data, payload)
            SELECT c.run, 1, 'run_started', now_, g.data, blobs[g.input]
            FROM created AS c JOIN given AS g USING (run_id);
    END IF;
    IF more ? 'jobs' THEN
        INSERT INTO jobs (job_id, run, part, queue, worker, key, name, input, policy, idempotency_key, awaited,
                at_most_once, due, created_at, updated_at, expires_at)
            SELECT s.job_id, r.run, r.first_seq, s.queue, s.worker, s.key, s.name, blobs[s.input], s.policy,
                s.idempotency_key, s.awaited, s.at_most_once, now_, now_, now_, s.expires_at
            FROM jsonb_to_recordset(more->'jobs') AS s(n bigint, job_id text, queue text, worker text, key text,
                name text, input bigint, policy text, idempotency_key text, awaited boolean, at_most_once boolean,
                expires_at double precision)
                JOIN runs AS r ON r.run = numbers[s.n]
            WHERE verdicts[s.n] = 0
            ON CONFLICT (job_id) DO NOTHING;
    END IF;
    IF more ? 'given_up' THEN
        SELECT array_agg(numbers[s.n]), array_agg(s.key) INTO some_, keys_
            FROM jsonb_to_recordset(more->'given_up') AS s(n bigint, key text) WHERE verdicts[s.n] = 0;
        PERFORM cancel_children(some_, keys_);
        PERFORM give_up_jobs(some_, keys_);
    END IF;
    IF more ? 'closed' THEN
        UPDATE hooks SET state = s.state FROM jsonb_to_recordset(more->'closed') AS s(n bigint, token text, state text)
            WHERE hooks.token = s.token AND verdicts[s.n] = 0;
        DELETE FROM messages WHERE token IN (
            SELECT s.token FROM jsonb_to_recordset(more->'closed') AS s(n bigint, token text) WHERE verdicts[s.n] = 0);
    END IF;
    IF more ? 'status' THEN
        UPDATE runs SET status = s.status, updated_at = coalesce(s.time, now_), wake_at = s.wake_at,
                claims = CASE WHEN s.status = 'waiting' THEN 0 ELSE claims END
            FROM jsonb_to_recordset(more->'status') AS s(n bigint, status text, time double precision,
                wake_at double precision)
            WHERE run = numbers[s.n] AND verdicts[s.n] = 0;
    END IF;
    IF more ? 'ended' THEN
        UPDATE runs SET status = s.status, updated_at = coalesce(s.time, now_), finished_at = coalesce(s.time, now_),
                owner = NULL, output = blobs[s.output], error_type = s.error_type, error = s.error,
                error_code = s.error_code
            FROM jsonb_to_recordset(more->'ended') AS s(n bigint, status text, time double precision, output bigint,
                error_type text, error text, error_code text)
            WHERE run = numbers[s.n] AND verdicts[s.n] = 0;
        SELECT array_agg(numbers[s.n] ORDER BY s.n), array_agg(s.type ORDER BY s.n) INTO some_, types_
            FROM jsonb_to_recordset(more->'ended') AS s(n bigint, type text) WHERE verdicts[s.n] = 0;
        UPDATE hooks SET state = 'closed' WHERE run = ANY (some_) AND state || '' = 'open';
        DELETE FROM messages WHERE run = ANY (some_);
        PERFORM cancel_children(some_, NULL);
        PERFORM give_up_jobs(some_, NULL);
        PERFORM tell_parents(some_, types_);
    END IF;
    IF more ? 'children' THEN
        PERFORM announce('runs');
    END IF;
    IF more ? 'ended' THEN
        PERFORM announce('ends');
    END IF;
END $$;
