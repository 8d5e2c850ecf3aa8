// The settings of /docs. Nothing of another host: without validatorUrl, Swagger UI asks one about the document.
// A token stays in this page, and goes with it.
SwaggerUIBundle({
  url: document.getElementById("swagger-ui").dataset.document,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
});
