//! `frostline inspect`: a network node by node; of a checkpoint file, also what happens to each of its tensors.

use super::args::InspectArgs;
use super::lines::{GraphLine, Line, LoadLine, NodeLine, TensorLine};
use super::output::{self, Align};
use super::recognize::{self, Recognized, Unfit, Wish};
use super::{Failure, Outcome, models};
use crate::graph::{Describe as _, Graph, Node, NodeFacts, Shape, Source};
use crate::session::{ModelTask, find_model};
use crate::train::{Near, Stranger, named_classes, open_weights};
use crate::weights::{Checkpoint, ClassNames, Row, RowState};

/// Rows of one state that are listed for people; the rest is counted.
const LISTED: usize = 12;

pub(super) fn inspect(args: &InspectArgs) -> Outcome {
    let name = args.what.to_string_lossy();
    match find_model(&name) {
        Ok(variant) => {
            let classes = args.classes.map_or(variant.usual_classes(), |classes| classes as usize);
            let size = args.size.unwrap_or(variant.preprocess.size[0]) as usize;
            let graph = variant.graph(classes, size);
            let graph = graph.map_err(|error| Failure::Input(format!("{}: {error}.", variant.name)))?;
            show_graph(&graph, variant.task, args.json)
        }
        Err(_) if args.what.exists() => inspect_file(args),
        Err(unknown) => Err(Failure::Input(format!("There is no file {name}. {unknown}"))),
    }
}

fn inspect_file(args: &InspectArgs) -> Outcome {
    let checkpoint = open_weights(&args.what).map_err(Failure::Input)?;
    let wish = Wish {
        classes: args.classes.map(|classes| classes as usize),
        size_px: args.size.map(|size| size as usize),
        model: args.model.as_deref(),
    };
    match recognize::recognize(&checkpoint, wish)? {
        Ok(found) => {
            show_graph(&found.graph, found.variant.task, args.json)?;
            show_report(&checkpoint, &found, args.json)
        }
        Err(Unfit::Stranger(stranger)) => nothing_fits(&stranger, args.json),
        Err(Unfit::Other(what)) => Err(Failure::Input(format!("{what}."))),
    }
}

fn show_graph(graph: &Graph, task: ModelTask, json: bool) -> Outcome {
    let facts = graph.facts().map_err(|error| Failure::Input(format!("{} cannot be built: {error}.", graph.name)))?;
    let input = graph.inputs.first().map(|input| input.shape.dims()).unwrap_or_default();
    let classes = graph.heads.first().map_or(0, |head| head.kind.classes());
    if json {
        output::json(&Line::Graph(GraphLine {
            model: &graph.name,
            task,
            classes,
            input_shape: input,
            params: facts.params(),
            macs: facts.macs(),
            nodes: graph.nodes.len(),
            heads: graph.heads.iter().map(|head| head.name.as_str()).collect(),
        }))?;
        let lines = graph.nodes.iter().zip(facts.nodes());
        return lines.map(|(node, facts)| Line::Node(node_line(graph, node, facts))).try_for_each(|l| output::json(&l));
    }
    output::line(&format!(
        "{}: {}, {classes} classes, input {}, {} parameters, {}MACs",
        graph.name,
        models::task(task),
        dims(&input),
        output::count(facts.params()),
        output::short(facts.macs()),
    ))?;
    let (left, right) = (Align::Left, Align::Right);
    let head = [
        ("node", left),
        ("part", left),
        ("block", left),
        ("reads", left),
        ("output", left),
        ("parameters", right),
        ("MACs", right),
    ];
    let row = |(node, facts): (&Node, &NodeFacts)| {
        vec![
            node.path.clone(),
            node.part.to_string(),
            node.block.kind().to_owned(),
            inputs(graph, node).join(", "),
            shape(&facts.output.shape),
            output::count(facts.params),
            output::short(facts.macs),
        ]
    };
    let rows: Vec<Vec<String>> = graph.nodes.iter().zip(facts.nodes()).map(row).collect();
    output::table(&head, &rows).iter().try_for_each(|line| output::line(line))
}

fn node_line<'a>(graph: &'a Graph, node: &'a Node, facts: &'a NodeFacts) -> NodeLine<'a> {
    NodeLine {
        path: &node.path,
        part: node.part.to_string(),
        stage: &node.stage,
        block: node.block.kind(),
        inputs: inputs(graph, node),
        output_shape: facts.output.shape.dims(),
        params: facts.params,
        macs: facts.macs,
        tensors: facts.tensors.iter().map(|t| TensorLine { name: &t.name, shape: &t.shape }).collect(),
    }
}

fn inputs<'a>(graph: &'a Graph, node: &'a Node) -> Vec<&'a str> {
    let name = |source: &Source| match source {
        Source::Input(i) => graph.inputs.get(*i).map(|input| input.name.as_str()),
        Source::Node(id) => graph.nodes.get(id.0).map(|node| node.path.as_str()),
    };
    node.inputs.iter().filter_map(name).collect()
}

/// Its axes, or words where it is no single tensor.
fn shape(shape: &Shape) -> String {
    let axes = shape.dims();
    if axes.is_empty() { shape.to_string() } else { dims(&axes) }
}

fn dims(dims: &[usize]) -> String {
    dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ")
}

fn show_report(checkpoint: &Checkpoint, found: &Recognized, json: bool) -> Outcome {
    let Recognized { variant, similarity, report, .. } = found;
    let warning = report.warning();
    // Of a head that the file does not hold, nothing is said.
    let held = |row: &Row| row.part.as_ref().is_some_and(|part| part.starts_with("head")) && row.file_name.is_some();
    let head = found.graph.heads.first().filter(|_| report.rows.iter().any(held));
    let classes = head.map_or(0, |head| head.kind.classes());
    let classes = named_classes(checkpoint, Some(variant), classes);
    if json {
        report.rows.iter().try_for_each(|row| output::json(&Line::Tensor(row)))?;
        return output::json(&Line::Load(LoadLine {
            file: &report.file,
            container: &report.container,
            model: variant.name,
            similarity: *similarity,
            counts: report.counts(),
            backbone_matched: report.backbone_matched,
            nested_under: report.nested_under.as_deref(),
            stripped_prefix: report.stripped_prefix.as_deref(),
            added_prefix: report.added_prefix.as_deref(),
            metadata: &checkpoint.metadata,
            class_names: classes.as_ref().map(|classes| classes.names.as_slice()),
            classes_named_by: classes.as_ref().map(|classes| classes.source.as_str()),
            notes: &report.notes,
            warning,
            summary: report.summary(),
        }));
    }
    output::line("")?;
    output::line(&format!(
        "{} ({}) as {}: {}",
        report.file.display(),
        report.container,
        variant.name,
        report.summary()
    ))?;
    if let Some(ClassNames { names, source }) = classes {
        let first = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
        let more = if names.len() > LISTED { format!(", … ({} in all)", names.len()) } else { String::new() };
        output::line(&format!("  classes  {first}{more}, by {source}"))?;
    }
    for (word, which) in [
        ("in part", (|state| matches!(state, RowState::Rows { .. })) as fn(&RowState) -> bool),
        ("re-made", |state| matches!(state, RowState::Remade { .. })),
        ("missing", |state| *state == RowState::Missing),
        ("unused", |state| *state == RowState::Unused),
    ] {
        let rows: Vec<&Row> = report.rows.iter().filter(|row| which(&row.state)).collect();
        for row in rows.iter().take(LISTED) {
            output::line(&format!("  {word:<8} {}{}", row.name, detail(row)))?;
        }
        if rows.len() > LISTED {
            output::line(&format!("  {word:<8} … and {} more (--json lists all)", rows.len() - LISTED))?;
        }
    }
    for note in &report.notes {
        output::note(&format!("note: {note}."));
    }
    if let Some(warning) = warning {
        output::note(&format!("warning: {warning}."));
    }
    Ok(())
}

fn detail(row: &Row) -> String {
    match (&row.state, row.file_shape.as_ref().or(row.wanted_shape.as_ref())) {
        (RowState::Remade { reason }, _) => format!(" ({reason})"),
        (_, Some(shape)) => format!(" {shape:?}"),
        _ => String::new(),
    }
}

fn nothing_fits(stranger: &Stranger, json: bool) -> Outcome {
    for Near { model, similarity, error } in &stranger.nearest {
        let what = error.difference();
        if json {
            output::json(&Line::Nearest { model, similarity: *similarity, what })?;
        } else if *similarity >= 0.01 {
            output::note(&format!("  {model}, {:.0} % in common: {what}", similarity * 100.0));
        }
    }
    Err(Failure::Input(format!("{stranger}.")))
}
