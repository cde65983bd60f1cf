-- One row per resource and scope asked for. Stands on the primary key.
SELECT origin_id, resource::text, scope_name, scope_version, scope_attributes::text
FROM traces_origin
WHERE project_id = %(project_id)s
  AND origin_id = ANY(%(origin_ids)s::bigint[])
