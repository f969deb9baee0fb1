"""What statements about jobs have in common, whichever database it is."""

COLUMNS = (
    "j.job_id, r.run_id, r.workflow, r.version, j.queue, j.worker, j.key, j.name, j.status, j.input, j.policy,"
    " j.idempotency_key, j.awaited, j.at_most_once, j.attempt, j.first_at, j.started_at, j.claims, j.epoch, j.owner,"
    " j.due, j.cancel_requested, j.progress, j.output, j.type, j.error_type, j.error, j.details, j.created_at,"
    " j.updated_at, j.expires_at, j.finished_at"
)

UNHEARD = (
    "EXISTS (SELECT 1 FROM messages AS m JOIN runs USING (run) WHERE m.run = jobs.run AND m.kind = 'job'"
    " AND m.name = jobs.key AND jobs.awaited AND runs.first_seq = jobs.part)"
)
"""Whether a job's end waits in the inbox of its run."""

NEXT_EXPIRY = "SELECT min(expires_at) FROM jobs WHERE status = 'queued' AND expires_at IS NOT NULL AND attempt = 0"
