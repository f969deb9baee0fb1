-- Take from processes what they held; those with messages are looked at again, for they may not have been seen.
CREATE OR REPLACE FUNCTION free_runs(processes_ text[], goodbye boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM runs WHERE owner = ANY (processes_) ORDER BY run FOR NO KEY UPDATE;
    UPDATE runs SET owner = NULL, status = CASE status WHEN 'running' THEN 'pending' ELSE status END,
            claims = CASE WHEN goodbye THEN 0 ELSE claims END, wake_at = CASE WHEN EXISTS
            (SELECT 1 FROM messages WHERE messages.run = runs.run) THEN 0 ELSE wake_at END
        WHERE owner = ANY (processes_);
    IF FOUND THEN
        PERFORM announce('runs ends');
    END IF;
END $$;

-- Take up to limit_ runs for a process: of these (name, version) pairs, or, where some are given, among those. Gives
-- their numbers and whether they have messages, the longest overdue first; a null if the process is not registered any
-- more.
CREATE OR REPLACE FUNCTION take_runs(
    process_ text, workflows_ text[], versions_ text[], among_ bigint[], limit_ bigint
) RETURNS TABLE (o_run bigint, o_has_messages boolean)
LANGUAGE plpgsql
-- The plan that is right when there are many runs, also if it is made while there are few.
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    now_ double precision := now_seconds();
    taken bigint[];
BEGIN
    IF among_ IS NULL THEN
        -- More than are wanted, for those that another process is just taking are left to it.
        SELECT array_agg(found.run ORDER BY found.place) INTO among_ FROM (
            SELECT due.run, row_number() OVER (ORDER BY due.wake_at, due.run) AS place
            FROM unnest(workflows_, versions_) AS pair(workflow, version), LATERAL (
                SELECT run, wake_at FROM runs
                WHERE owner IS NULL AND finished_at IS NULL AND workflow = pair.workflow AND version = pair.version
                    AND wake_at <= now_
                ORDER BY wake_at, run LIMIT 2 * limit_ + 100) AS due
            ORDER BY due.wake_at, due.run LIMIT 2 * limit_ + 100) AS found;
    END IF;
    IF among_ IS NULL THEN
        RETURN;
    END IF;
    -- Whoever removes this process waits for this, and then sees what it has taken; renewing goes on beside.
    PERFORM 1 FROM processes WHERE process_id = process_ FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT NULL::bigint, NULL::boolean;
        RETURN;
    END IF;
    SELECT array_agg(locked.run ORDER BY locked.place) INTO taken FROM (
        SELECT r.run, given.place FROM unnest(among_) WITH ORDINALITY AS given(run, place) JOIN runs AS r USING (run)
        WHERE coalesce(r.owner, '') = '' AND coalesce(r.finished_at, 0) = 0 AND r.wake_at <= now_
        ORDER BY given.place LIMIT limit_ FOR NO KEY UPDATE OF r SKIP LOCKED) AS locked;
    -- Who died with a run is known by its count: a run that got further, or was given back, begins again at one.
    UPDATE runs SET owner = process_, epoch = epoch + 1, status = 'running', wake_at = 0, updated_at = now_,
            claims = CASE WHEN claimed_seq < (SELECT max(seq) FROM events WHERE events.run = runs.run)
                THEN 1 ELSE claims + 1 END,
            claimed_seq = (SELECT max(seq) FROM events WHERE events.run = runs.run)
        WHERE run = ANY (taken);
    -- Not EXISTS, for which all messages may be read into a hash.
    RETURN QUERY SELECT t.run, (SELECT id FROM messages WHERE messages.run = t.run LIMIT 1) IS NOT NULL
        FROM unnest(taken) AS t(run);
END $$;

-- Give a run back until wake_at_, or at once if a message came after number seen_. Gives when it is due, null if this
-- epoch does not hold it.
CREATE OR REPLACE FUNCTION release_run(run_id_ text, epoch_ bigint, wake_at_ double precision, seen_ bigint)
RETURNS double precision
LANGUAGE plpgsql AS $$
DECLARE
    found runs%ROWTYPE;
    due double precision;
BEGIN
    SELECT * INTO found FROM runs WHERE run_id = run_id_ FOR NO KEY UPDATE;
    IF found.epoch IS DISTINCT FROM epoch_ OR found.owner IS NULL THEN
        RETURN NULL;
    END IF;
    -- Messages come while the row is locked: a look after that misses none.
    UPDATE runs SET owner = NULL, status = CASE status WHEN 'running' THEN 'pending' ELSE status END,
            claims = 0, wake_at = CASE WHEN EXISTS
            (SELECT 1 FROM messages WHERE messages.run = runs.run AND id > seen_) THEN 0 ELSE wake_at_ END
        WHERE run = found.run RETURNING wake_at INTO due;
    PERFORM announce('runs');
    RETURN due;
END $$;
