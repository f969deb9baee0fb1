-- Record how jobs ended, each if it is still held by that epoch, and tell the runs that await them. One entry of each
-- array for each job. Gives those that were refused by place, from 1, with the job's epoch and status; null if it is gone.
CREATE OR REPLACE FUNCTION finish_jobs(
    ids_ text[], epochs_ bigint[], statuses_ text[], started_ double precision[], outputs_ bytea[], types_ text[],
    error_types_ text[], errors_ text[], details_ text[]
) RETURNS TABLE (o_place bigint, o_epoch bigint, o_status text)
LANGUAGE plpgsql AS $$
DECLARE
    now_ double precision := now_seconds();
    ended bigint[];
    places bigint[];
BEGIN
    PERFORM 1 FROM runs WHERE run = ANY (ARRAY(SELECT run FROM jobs WHERE job_id = ANY (ids_) AND awaited))
        ORDER BY run FOR NO KEY UPDATE;
    WITH finished AS (
        UPDATE jobs SET status = given.status, owner = NULL, started_at = given.started, output = given.output,
            type = given.type, error_type = given.error_type, error = given.error, details = given.details,
            updated_at = now_, finished_at = now_
        FROM unnest(ids_, epochs_, statuses_, started_, outputs_, types_, error_types_, errors_, details_)
            WITH ORDINALITY AS given(id, epoch, status, started, output, type, error_type, error, details, place)
        WHERE jobs.job_id = given.id AND jobs.epoch = given.epoch AND jobs.owner IS NOT NULL
        RETURNING jobs.job, given.place)
    SELECT coalesce(array_agg(job ORDER BY place), '{}'), coalesce(array_agg(place), '{}') INTO ended, places
        FROM finished;
    PERFORM tell_of_jobs(ended);
    RETURN QUERY SELECT given.place, jobs.epoch, jobs.status
        FROM unnest(ids_) WITH ORDINALITY AS given(id, place) LEFT JOIN jobs ON jobs.job_id = given.id
        WHERE given.place <> ALL (places);
END $$;
