"""What is decided of every column that holds text, JSON or bytes, by table: a new one is decided here as well.

`MASKED`: text of outside origin (senders, models, judges, what people note), masked by the project's rules before it is
stored. `MADE`: made of what is stored masked. `WRITTEN`: names and definitions as people of the product write them,
since they are run, shown or addressed as they are. `PEOPLE`: who uses the product, and what they did. `SEALED`: hashed,
sealed, or random. `OURS`: states, kinds, figures and words of our own.
"""

from __future__ import annotations

MASKED = """
alerts_alarm: note
alerts_baseline: reason
alerts_driftreference: reason
alerts_incident: title scope_note cause_note override_reason
alerts_incidentstep: draft outcome
alerts_proposal: note
alerts_question: text decision
alerts_responsemade: note url
alerts_silence: reason
alerts_triageitem: note
evals_dataset: description
evals_datasetitem: item_key input expected metadata
evals_datasetversion: note
evals_document_score: document_id
evals_experiment: name config
evals_experimentresult: output error metrics
evals_judgement: answer
evals_probealarm: note
evals_probeanswer: text tools checks error finish_reason model_answered fingerprint
evals_probebaseline: reason
evals_promotion: note
evals_review: category note external_id
evals_reviewitem: reason
evals_score: session_id name label comment evidence author external_id metadata
traces_change: name version previous service feature environment author note url details client_id
traces_comment: body
traces_ingest_batch: reasons
traces_ingest_reason_hour: last_example
traces_ingest_refusal_hour: last_example
traces_label: label
traces_metric_series: name unit attributes
traces_origin: resource scope_name scope_version scope_attributes
traces_outcome: name
traces_payload: data
traces_signal: client_id session_id request_id name value_label value_text comment author metadata
traces_span: name status_message error_type service environment release feature user_id session_id provider
traces_span: model_requested model_answered model_priced operation response_id service_tier finish_reason prompt_name
traces_span: prompt_version agent_name workflow_name tool_name tags metadata attributes
traces_span_log: event_name data
"""
MADE = """
alerts_alarm: evidence
alerts_baseline: learned excluded
alerts_budgetstand: subject
alerts_delivery: message
alerts_drift_hour: left_out
alerts_driftreference: feature vectors traces centres learned
alerts_driftreport: body
alerts_incident: scope
alerts_incidentcase: item_key
alerts_incidentevent: facts
alerts_incidentmember: facts
alerts_metricreport: body
alerts_monitor: chart
alerts_point: crossed told data
alerts_proposal: reasons evidence
alerts_sample: feature service environment release prompt_name prompt_version provider model finish_reason
alerts_sample: input_language output_language tools fields
alerts_scopereport: body
alerts_transition: facts
alerts_vector: feature data
evals_calibration: result
evals_datasetitem: origin_ref
evals_decision_day: feature model prompt_version
evals_decision_hour: feature model prompt_version stratum
evals_decision: stratum
evals_document_score: feature
evals_experiment: figures
evals_judgement: feature model prompt_version service environment release session_id stratum flags
evals_probealarm: evidence
evals_probeanswer: vector
evals_proberesult: figures models_answered fingerprints
evals_proberun: reason figures
evals_promotion: subject version evidence
evals_retrieval: feature
evals_reviewitem: feature model prompt_version stratum
evals_routine: result
evals_score_day: name feature model prompt_version
evals_score_hour: name feature model prompt_version levels stratum
evals_survivorshipday: feature figures
jobs_job: params cursor result
traces_behaviour: session_id feature user_id outcomes
traces_behaviour_due: session_id
traces_behaviour_hour: feature
traces_ledger: data
traces_outcome_hour: feature
traces_meter: model
traces_scope: stage feature provider model service environment release prompt_name prompt_version
traces_search_block: first data
traces_search_segment: block_starts gone_map
traces_session: session_id user_id service environment release features models preview_in preview_out
traces_sighting: environment service feature provider name value
traces_signal: feature
traces_trace: name models service environment release feature user_id session_id prompt_name prompt_version
traces_trace: finish_reason error_type tags preview_in preview_out foreign_trace_id ranks
traces_user_period: user_id
web_archivechunk: data
"""
WRITTEN = """
alerts_budget: marked_days capacity
alerts_channel: name config
alerts_costbudget: name subject tell_at policy
alerts_driftsettings: model fields
alerts_incidentsettings: timers
alerts_monitor: name definition metric method
alerts_questionsettings: worth application
alerts_route: severities features hours kinds
alerts_silence: matches
evals_backfill: query
evals_calibration: criterion scope
evals_connection: name base_url
evals_dataset: slug name
evals_experiment: metrics
evals_judge: slug name
evals_judgeversion: model config
evals_probe: key
evals_probesuite: slug name schedule encoder_model
evals_probetarget: model
evals_probeversion: spec
evals_reviewqueue: slug name config
evals_rubric: slug name
evals_rubricversion: spec
evals_samplingplan: spec
evals_settings: gate
evals_survivorshipsettings: method criterion
projects_project: name slug time_zone feature_names feature_rules
traces_forwardtarget: name url header_hints
traces_maskpolicy: rules
traces_outcome: slug spec
traces_price: provider match_kind model tier source
traces_savedview: name query
traces_signaldefinition: spec
web_archive: user_id directory
"""
PEOPLE = """
account_emailaddress: email
accounts_organisation: name slug deletion_asked_by
accounts_user: email name
alerts_incidentevent: actor
audit_auditentry: actor target before after
evals_promotion: author ended_by
evals_review: reviewer_name
projects_invitation: email
projects_project: deletion_asked_by
socialaccount_socialaccount: provider uid extra_data
traces_comment: author
traces_label: author
usersessions_usersession: user_agent
web_archive: asked_by
web_erasure: asked_by lifted_by project_slug hint
"""
SEALED = """
account_emailconfirmation: key
accounts_loginattempt: subject
accounts_user: password
alerts_channel: secret hint
alerts_noticesettings: alive_url
django_session: session_key session_data
evals_backfill: salt
evals_connection: sealed_key key_hint
evals_samplingplan: salt
mfa_authenticator: data
projects_apikey: public_part secret_sha256 last_four
projects_invitation: token_sha256
socialaccount_socialapp: client_id secret key settings
socialaccount_socialtoken: token token_secret
traces_forwardtarget: sealed_headers
traces_maskkey: sealed
usersessions_usersession: session_key data
web_erasure: subject
web_erasurename: name
"""
OURS = """
alerts_alarm: direction rule state verdict
alerts_attempt: error
alerts_baseline: state kind
alerts_channel: kind error
alerts_costbudget: of period
alerts_delivery: state error ref
alerts_drift_due: lease_by reason
alerts_driftreference: side encoder state
alerts_driftsettings: encoder trouble
alerts_enginestate: name words
alerts_incident: state step origin verdict
alerts_incidentevent: kind key
alerts_incidentmember: kind
alerts_incidentstep: step
alerts_metricreport: state error
alerts_monitor: standing standing_words error
alerts_noticesettings: alive_error
alerts_point: rule state
alerts_proposal: kind state
alerts_question: pillar
alerts_responsemade: kind
alerts_scopereport: kind state error
alerts_transition: key kind
alerts_triageitem: origin verdict
alerts_vector: encoder
audit_auditentry: action outcome
auth_group: name
auth_permission: name codename
django_content_type: app_label model
django_migrations: app name
evals_backfill: state cursor
evals_calibration: verdict stale_reason
evals_calibration_mark: name
evals_connection: kind paused_reason
evals_datasetitem: origin
evals_day_built: zone
evals_decision: rule
evals_experiment: source state reason
evals_experimentresult: lease_by item_key state
evals_judge: kind
evals_judgement: state reason lease_by
evals_judgement_hour: state reason
evals_judgeversion: config_hash
evals_planrate: reason
evals_probealarm: verdict
evals_probeanswer: lease_by state encoder
evals_proberesult: state
evals_proberun: cause state
evals_probeseries: state
evals_probeversion: spec_hash
evals_promotion: kind ended_as
evals_review: verdict
evals_reviewitem: state lease_key
evals_reviewqueue: kind
evals_routine: kind state
evals_rubricversion: spec_hash
evals_survivorshipday: colour rule basis
jobs_heartbeat: name oldest_task
jobs_job: lease_by kind state error
jobs_kept: name
jobs_lease: name holder
jobs_message: queue body lease_by
jobs_schedule: name
mfa_authenticator: type
projects_apikey: name scopes origins
projects_invitation: role
projects_projectmember: role
projects_retentionday: kind reason
projects_storedsize: kind
socialaccount_socialapp: provider name provider_id
traces_change: kind source origin
traces_defaultview: page
traces_forwardtarget: lease_by dropped last_error
traces_ingest_batch: source calls
traces_ingest_hour: source
traces_ingest_reason_hour: source outcome reason
traces_ingest_refusal_hour: source reason
traces_metric_point: buckets
traces_metric_series: kind
traces_origin: vocabulary
traces_rollup: duration ttft tpot length
traces_rollup_aside: reason
traces_rollup_reason: reason
traces_rollup_state: time_zone
traces_savedview: page
web_archive: manifest
web_archivechunk: name
web_erasure: kind state phase error removed replaced kept remaining
web_erasurename: what
web_importedid: source table
web_inboxmark: kind ref
"""
DECIDED = {"masked": MASKED, "made": MADE, "written": WRITTEN, "people": PEOPLE, "sealed": SEALED, "ours": OURS}


def columns() -> list[tuple[str, str]]:
    """Every column that is decided, with its table, as often as it is."""
    found = []
    for text in DECIDED.values():
        for line in text.strip().splitlines():
            table, names = line.split(": ")
            found += [(table, name) for name in names.split()]
    return found
