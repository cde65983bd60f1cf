"""Entries older than a year may be pruned, by one function alone, which writes that down; the log by organisation.

Whoever owns the table: an UPDATE is refused always, a DELETE of anything younger than a year too.
"""

from django.db import migrations, models

FORWARD = """
CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_LEVEL = 'ROW' AND OLD.at < now() - interval '365 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
DROP TRIGGER audit_append_only ON audit_auditentry;
CREATE TRIGGER audit_append_only BEFORE UPDATE ON audit_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
CREATE TRIGGER audit_keep_a_year BEFORE DELETE ON audit_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_refuse_change();
CREATE FUNCTION audit_prune(keep_days integer, who text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    gone bigint;
    oldest timestamptz;
    until timestamptz := now() - make_interval(days => keep_days);
    is_owner boolean := NOT has_table_privilege(current_user, 'public.audit_auditentry', 'DELETE');
BEGIN
    IF keep_days IS NULL OR keep_days < 365 THEN
        RAISE EXCEPTION 'the audit log is kept for 365 days at least' USING ERRCODE = 'check_violation';
    END IF;
    -- An owner that is the application's own role holds no DELETE outside of this function.
    IF is_owner THEN
        EXECUTE format('GRANT DELETE ON public.audit_auditentry TO %I', current_user);
    END IF;
    SELECT min(at) INTO oldest FROM public.audit_auditentry;
    DELETE FROM public.audit_auditentry WHERE at < until;
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF is_owner THEN
        EXECUTE format('REVOKE DELETE ON public.audit_auditentry FROM %I', current_user);
    END IF;
    IF gone > 0 THEN
        INSERT INTO public.audit_auditentry (at, actor, action, target, before, after, outcome)
        VALUES (
            now(), left(who, 254), 'audit.prune', 'entries before ' || to_char(until, 'YYYY-MM-DD'),
            jsonb_build_object('oldest', oldest), jsonb_build_object('removed', gone, 'keep_days', keep_days), 'done'
        );
    END IF;
    RETURN gone;
END $$;
REVOKE ALL ON FUNCTION audit_prune(integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_prune(integer, text) TO CURRENT_USER;
"""
BACKWARD = """
DROP FUNCTION audit_prune(integer, text);
DROP TRIGGER audit_append_only ON audit_auditentry;
DROP TRIGGER audit_keep_a_year ON audit_auditentry;
CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.AddIndex(
            model_name="auditentry", index=models.Index(fields=["organisation_id", "-at"], name="audit_organisation_at")
        ),
    ]
