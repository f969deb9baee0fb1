-- Record new runs with their first events; one whose id, or whose key in its workflow, is taken is left out.
--
-- c_*: one entry for each run. c_owner is the process that is to hold it from the start: it gets it if it is registered.
-- c_owned and c_free are the data of the first event with and without an owner.
--
-- Gives those that were recorded, by place, with the number, the time and whether it has the owner.
CREATE OR REPLACE FUNCTION create_runs(
    c_run_id text[], c_workflow text[], c_version text[], c_input bytea[], c_salt text[], c_key text[], c_tags text[],
    c_owner text[], c_owned text[], c_free text[]
) RETURNS TABLE (o_place bigint, o_run bigint, o_time double precision, o_owned boolean)
LANGUAGE plpgsql
-- It joins what it is given, and no table.
SET enable_hashjoin = on AS $$
#variable_conflict use_column
DECLARE
    now_ double precision := now_seconds();
    known text[];
BEGIN
    -- Whoever removes a process waits for this, and then sees its new runs.
    SELECT array_agg(p.process_id) INTO known FROM (
        SELECT process_id FROM processes WHERE process_id = ANY (c_owner) ORDER BY process_id FOR KEY SHARE) AS p;
    RETURN QUERY WITH given AS (
        SELECT c.*, coalesce(c.owner = ANY (known), false) AS owned
        FROM unnest(c_run_id, c_workflow, c_version, c_input, c_salt, c_key, c_tags, c_owner, c_owned, c_free)
            WITH ORDINALITY AS c(run_id, workflow, version, input, salt, key, tags, owner, d_owned, d_free, place)),
    created AS (
        INSERT INTO runs (run_id, workflow, version, status, created_at, updated_at, salt, idempotency_key, owner,
                epoch, claims, claimed_seq, tags)
            SELECT g.run_id, g.workflow, g.version, CASE WHEN g.owned THEN 'running' ELSE 'pending' END, now_, now_,
                g.salt, g.key, CASE WHEN g.owned THEN g.owner END, g.owned::integer, g.owned::integer,
                g.owned::integer, g.tags
            FROM given AS g ORDER BY g.place
            ON CONFLICT DO NOTHING RETURNING run, run_id, tags),
    tagged AS (
        INSERT INTO tags (tag, created_at, run)
            SELECT DISTINCT t.tag, now_, c.run FROM created AS c, jsonb_array_elements_text(c.tags::jsonb) AS t(tag)),
    begun AS (
        INSERT INTO events (run, seq, type, time, data, payload)
            SELECT c.run, 1, 'run_started', now_, CASE WHEN g.owned THEN g.d_owned ELSE g.d_free END, g.input
            FROM created AS c JOIN given AS g USING (run_id))
    SELECT g.place, c.run, now_, g.owned FROM created AS c JOIN given AS g USING (run_id);
    IF EXISTS (SELECT 1 FROM unnest(c_owner) AS one(owner) WHERE NOT coalesce(one.owner = ANY (known), false)) THEN
        PERFORM announce('runs');
    END IF;
END $$;
