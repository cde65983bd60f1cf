-- One row per saved view that a person may see, by name: their own and the shared ones of the project, whether their list
-- opens with it, and who made it. Stands on view_shared_name and view_own_name.
SELECT
    v.id,
    v.page,
    v.name,
    v.query,
    v.is_shared,
    d.id IS NOT NULL AS is_default,
    v.owner_id,
    coalesce(nullif(u.name, ''), u.email, '') AS made_by,
    v.updated_at
FROM traces_savedview AS v
LEFT JOIN accounts_user AS u ON u.id = v.owner_id
LEFT JOIN traces_defaultview AS d ON d.view_id = v.id AND d.user_id = %(user)s
WHERE v.project_id = %(project)s
  AND v.page = %(page)s
  AND (v.is_shared OR v.owner_id = %(user)s)
ORDER BY lower(v.name), v.id
