"""What a rule set is about must exist, and in one datacenter with what it names."""

from gateway.denial import ApiError, ErrorKind
from gateway.store.db.pool import Connection
from gateway.store.rules.rule_versions import Body

COLLECTIONS = {
    "machine_load": ("machineLoadRules", "RULE-5"),
    "datastore_load": ("datastoreLoadRules", "RULE-9"),
    "fit_policy": ("fitPolicyRules", "RULE-9"),
    "enterprise_exclusion": ("enterpriseExclusionRules", "RULE-5"),
}
"""By kind: the field of its rules, and the code for what a rule is wrongly about."""
_MISSING = """
select n.kind, n.level, n.place from jsonb_to_recordset($1::jsonb) as n(kind text, level text,
  element_id bigint, other_id bigint, place int)
where n.level <> 'global' and not case n.level
  when 'datacenter' then exists (select from datacenter e where e.id = n.element_id)
  when 'rack' then exists (select from rack e where e.id = n.element_id)
  when 'cluster' then exists (select from cluster e where e.id = n.element_id)
  when 'machine' then exists (select from host e where e.id = n.element_id)
  when 'datastore' then exists (select from datastore e where e.id = n.element_id)
  when 'datastoretier' then exists (select from tier e where e.id = n.element_id)
  else (select count(*) from enterprise e where e.id in (n.element_id, n.other_id)) = 2 end
order by n.kind, n.place limit 1
"""


async def require_elements(c: Connection, rules: Body) -> None:
    """ApiError with the rule's code and field for the first one about what is not there."""
    placed = []
    counts: dict[str, int] = {}
    for row in rules:
        counts[row["kind"]] = place = counts.get(row["kind"], -1) + 1
        placed.append({**row, "place": place})
    found = await c.fetchrow(_MISSING, placed)
    if found is not None:
        field, code = COLLECTIONS[found["kind"]]
        at = f"{field}[{found['place']}].links[{found['level']}]"
        raise ApiError(ErrorKind.INVALID, code, f"{at}: there is no such element", field=at)
