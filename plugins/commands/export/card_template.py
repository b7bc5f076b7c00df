"""The section of a model card, as a template for jinja."""

from __future__ import annotations

TEMPLATE = """
{{ begin | safe }}
## Depth pruning

This is {{ model | code }} without {{ record.removed | length }} of its \
{{ record.blocks }} transformer blocks: {{ parameters }}.

- Removed: blocks {{ record.removed | blocks }}, counted from 0.
- Kept: blocks {{ record.kept | blocks }}.
- Original weights: {{ record.weights | code }}.
{% for step in record.before %}
- Removed before, from {{ step.model | code }}: blocks {{ step.removed | blocks }} of \
{{ step.blocks }}{% if step.searcher %}, chosen by {{ step.searcher | code }} with \
{{ step.objective | code }}{% endif %}\
{% for one in step.heals or () %}, then healed on {{ "{:,}".format(one.tokens) }} tokens of \
{{ one.data | code }}{% endfor %}.
{% endfor %}
{% if record.before %}
- In all, {{ record.before[0].model | code }} without its blocks \
{{ record.removed_of_first | blocks }}.
{% endif %}
{% if losses %}
{% set search = record.search %}
- Chosen by the searcher {{ search.searcher | code }} with the objective \
{{ search.objective | code }}, seed {{ search.seed }}, from \
{{ "{:,}".format(search.work.asked) }} subsets that it requested.

{{ losses | table }}

Losses are on the calibration set; ± is the standard error of the difference over its samples.
{% if repair %}

The weights around the removed blocks were {{ repair }}.
{% endif %}
{% elif draft and draft.searcher %}
- Chosen as a draft of that model, from what the searcher {{ draft.searcher | code }} found with \
the objective {{ draft.objective | code }} at several budgets.
{% else %}
- Chosen by hand.
{% endif %}
{% if record.remark %}

**Not for every program:** {{ record.remark }}.
{% endif %}
{% for one in record.healed_before or () %}

Healed on {{ "{:,}".format(one.tokens) }} tokens of {{ one.data | code }}: {{ one.trained }}.
{% endfor %}
{% if heal %}

Then {{ heal.words }}.

{{ heal | healing | table }}
{% endif %}
{% if evaluations %}

{{ evaluations | table }}

Evaluated after the search{% if heal %}, before it was healed{% endif %}; ± is the standard \
error of the difference. See {{ file | code }}
for details.
{% endif %}
{% if proof %}

Verified when it was written: {{ proof }}.
{% endif %}
{% if draft %}

As the draft of {{ model | code }} in speculative decoding, with {{ draft.words }}. Predictions \
are on the model's own greedy text after the prompts {{ draft.data | code }}.

```text
{% for name, line in draft_lines.items() %}
{{ line | safe }}
{% endfor %}
```
{% endif %}

To load it, to serve it with vLLM, and to convert it with llama.cpp, in its folder:

```text
AutoModelForCausalLM.from_pretrained(".")
vllm serve .
python convert_hf_to_gguf.py .
```

To repeat:

```sh
{{ command | safe }}
{% if heal %}
{{ heal_command | safe }}
{% endif %}
```

Versions: {{ versions }}.
{% if body %}

What follows was written for the model before its blocks were removed.
{% endif %}
{{ end | safe }}
{% if body %}

{{ body | safe }}
{% endif %}
"""
