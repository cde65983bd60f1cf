"""Review queues: setting up, filling, handing out, taking verdicts, bringing labels in and out.

- `queues`: add_queue, change_queue, close_queue; `config`: kinds, rules, what is refused
- `filling`: fill (what judges flagged), consider (traces that were quiet), draw_calibration, add_by_hand
- `handing`: hold_next, hold_item, renew, let_go; one tab holds one item, one item is on one screen
- `verdicts`: save_verdict, skip_item, undo; `agreeing`: when an item is done, disputed, settled
- `assigning`, `dropping`: whose an item is; out of its queue, and back in
- `label_files`, `label_rows`, `importing`: labels of people and scores of judges from elsewhere, many at once;
  `import_names`: the rubrics and judges that they name; `exporting`: labels as files
"""
